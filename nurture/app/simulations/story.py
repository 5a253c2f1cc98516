"""The story of one simulated person: what happened to them, and the mails that they got."""

from dataclasses import dataclass
from typing import Any, Final

from nurture.app import messages
from nurture.app.simulations.run import Played
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import DAY, to_iso
from nurture.pictures import SpanRow
from nurture.rendering.images import embed_images
from nurture.reports.person import Moment, load_timeline
from nurture.reports.simulated.rows import PersonRow

#: Mails of the story that are shown whole, and moments that are listed.
_MAILS_MAX: Final = 12
_MOMENTS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class StoryMail:
    """A mail of the story as it left."""

    at: str
    name: str
    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """One person's story."""

    person: PersonRow
    moments: list[Moment]
    spans: list[SpanRow]
    mails: list[StoryMail]


def tell_story(played: Played) -> Story | None:
    """Return the story of the person who got mails of the most measures; None where nobody got one."""
    measures: dict[int, set[str]] = {}
    sent: dict[int, list[int]] = {}
    for mail in played.ledger.mails:
        if mail.sent_at is not None:
            measures.setdefault(mail.contact, set()).add(mail.measure)
            sent.setdefault(mail.contact, []).append(mail.id)
    known = [person for person in played.ledger.people if person.id in measures]
    if not known:
        return None
    person = max(known, key=lambda person: (len(measures[person.id]), len(sent[person.id]), -person.id))
    names = MeasureNames(played.loaded.playbook.measures)
    with played.services.database.read() as connection:
        moments = load_timeline(connection, person.id, names=names, limit=_MOMENTS_MAX)
    mails = [_show(played, number) for number in sent[person.id][:_MAILS_MAX]]
    return Story(person, moments, _spans(played, person, names), mails)


def _show(played: Played, number: int) -> StoryMail:
    mail = messages.show(played.services, str(number))
    html = embed_images(
        mail["html"] or "", played.loaded.templates.images, played.services.settings.public_url
    )
    name = f"{mail['measure']}/{mail['step']}"
    text = _plain_line_ends(mail["text"] or "")
    return StoryMail(mail["sent"] or "", name, mail["subject"] or "", _plain_line_ends(html), text)


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n")


def _spans(played: Played, person: PersonRow, names: MeasureNames) -> list[SpanRow]:
    """Return the person's runs as bars, and their mails as marks on the same lanes, in days from the start."""
    rows = list[SpanRow]()
    for contact, run in played.ledger.runs:
        if contact == person.id:
            end = run.ended_at if run.ended_at is not None else played.end
            lane = names.shown(run.measure).rpartition("/")[2]
            when = f"{to_iso(run.started_at)[:10]} – {to_iso(end)[:10]}"
            rows.append(SpanRow(lane, "", _place(played, run.started_at), _place(played, end), "span", when))
    for mail in played.ledger.mails:
        if mail.contact == person.id and mail.status != "waiting":
            lane = names.shown(mail.measure).rpartition("/")[2]
            at = mail.sent_at if mail.sent_at is not None else mail.ended_at
            kind = "sent" if mail.sent_at is not None else "withheld"
            rows.append(SpanRow(lane, mail.step, _place(played, at), None, kind, to_iso(at)[:10]))
    return rows


def _place(played: Played, at: Any) -> float:
    return float((at - played.start) / DAY)
