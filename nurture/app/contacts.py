"""Contacts: show, timeline, explanation of a measure, merge, unmerge, and consent recorded by an operator."""

from dataclasses import asdict
from difflib import get_close_matches
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.suppressions import describe_reasons
from nurture.consent import from_pages
from nurture.consent import record as consents
from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.event_queries import load_events
from nurture.contacts.queries import load_contacts, resolve_contact
from nurture.database.audit import record
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.consent.events import CONFIRMED
from nurture.domain.contact import Contact
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import BY_COMMAND
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook
from nurture.domain.timing import load_zone
from nurture.domain.values import read_row_id
from nurture.journey import merge as merging
from nurture.journey.replay import replay_events
from nurture.playbook.measure_names import load_measure_names
from nurture.reports import person as report
from nurture.reports.contact_search import find_contacts
from nurture.reports.forecast.forecast_people import make_scope
from nurture.reports.forecast.next_mails import load_next_mails
from nurture.reports.judged_now import judge_waiting_mail
from nurture.reports.why import explain_measure

#: Characters of a text that is sought.
_SOUGHT_MAX: Final = 320


def show(services: Services, who: str) -> dict[str, Any]:
    """Return a contact's stage, facts, consents, suppressions, holds and active runs. Raises NotFoundError."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        contact_id = resolve_contact(connection, who)
        person = report.describe_person(connection, contact_id, playbook=playbook, now=services.clock.now())
        key = services.settings.suppression_secret
        return {**person, "suppressions": describe_reasons(connection, contact_id, suppression_key=key)}


def local_zone(services: Services, who: str) -> ZoneInfo:
    """Return the time zone in which a contact's times are shown: theirs, else the programme's. Raises NotFoundError."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        contact_id = resolve_contact(connection, who)
        zone = load_contacts(connection, [contact_id], playbook)[contact_id].zone
        return load_zone(zone or playbook.default_zone)


def timeline(services: Services, who: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest entries of a contact's history, oldest first. Raises NotFoundError."""
    with services.database.read() as connection:
        contact_id = resolve_contact(connection, who)
        names = load_measure_names(services.playbooks, connection)
        return [
            moment.row() for moment in report.load_timeline(connection, contact_id, names=names, limit=limit)
        ]


def search(services: Services, text: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the people whose name, address or id has this part, whole ones first. Raises InputError for no text."""
    wanted = text.strip()[:_SOUGHT_MAX]
    if not wanted:
        raise InputError("the text is empty; write a part of a name, an address or an id")
    with services.database.read() as connection:
        active = services.playbooks.active_id(connection)
        playbook = None if active is None else services.playbooks.active(connection).playbook
        lines = find_contacts(connection, wanted, playbook=playbook, limit=limit)
    return [
        {
            "contact": line.id,
            "email": line.email or line.known_as,
            "name": line.name,
            "track": line.track,
            "stage": line.stage,
            "since": to_iso(line.stage_since),
        }
        for line in lines
    ]


def why(services: Services, who: str, measure_path: str, *, at: Instant | None = None) -> dict[str, Any]:
    """Explain one measure for one contact, now or as the state was at an instant.

    Raises NotFoundError for an unknown contact or measure, and for an instant whose events were deleted already.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = playbook.measures.get(measure_path)
        if measure is None:
            raise NotFoundError(unknown_measure_message(measure_path, list(playbook.measures)))
        contact_id = resolve_contact(connection, who)
        now = services.clock.now()
        if at is None or at >= now:
            contact = load_contacts(connection, [contact_id], playbook)[contact_id]
        else:
            contact, now = _replay_until(connection, contact_id, playbook, at), at
        answer = explain_measure(connection, contact, measure, playbook=playbook, now=now).document()
        if at is None:
            settings = services.settings
            only_to = frozenset(entry.lower().lstrip("@") for entry in settings.only_to)
            scope = make_scope(
                connection, playbook, now=now, only_to=only_to, key=settings.suppression_secret
            )
            answer["judged_now"] = judge_waiting_mail(connection, contact_id, measure, scope)
        return answer


def _replay_until(connection: sa.Connection, contact_id: int, playbook: Playbook, at: Instant) -> Contact:
    """Return the contact's state at an instant, folded from the events received until then."""
    events = [event for event in load_events(connection, [contact_id])[contact_id] if event.received_at <= at]
    baselines = load_baselines(connection, [contact_id])[contact_id]
    if any(baseline.clock > at for baseline in baselines):
        raise NotFoundError("the events of that time are no longer kept; name a later time")
    return replay_events(contact_id, events, playbook, baselines)


def next_mails(services: Services, who: str, *, days: int = 60) -> list[dict[str, Any]]:
    """Return the mails that will leave within so many days, and those that will be withheld with their reason.

    `unless` names the events that would end the measure before. Raises NotFoundError.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        contact_id = resolve_contact(connection, who)
        only_to = frozenset(entry.lower().lstrip("@") for entry in services.settings.only_to)
        key = services.settings.suppression_secret
        scope = make_scope(connection, playbook, now=now, only_to=only_to, key=key)
        mails = load_next_mails(connection, contact_id, scope, span=days * DAY)
    names = MeasureNames(playbook.measures)
    return [
        {
            "at": to_iso(mail.at),
            "measure": names.shown(mail.measure),
            "step": mail.step,
            "outcome": "leaves" if mail.ending == "sent" else mail.ending,
            "reason": mail.reason,
            "unless": _exits(playbook.measures.get(mail.measure)),
        }
        for mail in mails
    ]


def _exits(measure: Measure | None) -> list[str]:
    """Return the events and conditions that end a run of the measure at once."""
    endings = () if measure is None else measure.exits
    texts = (ending.event or ("" if ending.when is None else ending.when.text) for ending in endings)
    return list(dict.fromkeys(text for text in texts if text))


def unknown_measure_message(path: str, known: list[str]) -> str:
    """Return the error message for a measure that does not exist, with the nearest ones that do."""
    near = get_close_matches(path, known, n=3, cutoff=0.4) or sorted(known)[:3]
    return (
        f"no measure {path!r} in the active playbook; did you mean {', '.join(near)}? (nurture playbook show)"
    )


# ---- merge and unmerge -----------------------------------------------------------------------------------


def preview_merge(services: Services, who: str, other: str) -> dict[str, Any]:
    """Return what `merge` would do at this instant; changes nothing.

    Raises InputError when both name the same contact, NotFoundError.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        first, second = _resolve_both(connection, who, other)
        plan = merging.preview(connection, first, second, now=services.clock.now(), playbook=playbook)
        return {
            **asdict(plan),
            "people": [report.describe_briefly(connection, contact_id) for contact_id in (first, second)],
        }


def merge(services: Services, who: str, other: str, *, actor: str) -> dict[str, Any]:
    """Merge two contacts by an operator's decision; returns the survivor and the merged contact.

    Raises InputError when both name the same contact, NotFoundError.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        first, second = _resolve_both(connection, who, other)
        return merge_in(services, connection, first, second, actor=actor)

    return services.database.run(work)


def merge_in(
    services: Services, connection: sa.Connection, first: int, second: int, *, actor: str
) -> dict[str, Any]:
    """Merge two living contacts in the caller's transaction, audited. Raises NotFoundError."""
    now = services.clock.now()
    playbook = services.playbooks.active(connection).playbook
    evidence = {"actor": actor}
    merged = asdict(merging.merge(connection, first, second, now=now, playbook=playbook, evidence=evidence))
    record(connection, at=now, actor=actor, action="contact.merge", detail=merged)
    return merged


def _resolve_both(connection: sa.Connection, who: str, other: str) -> tuple[int, int]:
    first, second = resolve_contact(connection, who), resolve_contact(connection, other)
    if first == second:
        message = f"{who} and {other} are the same contact already (contact:{first})"
        raise InputError(message)
    return first, second


def preview_unmerge(services: Services, who: str) -> dict[str, Any]:
    """Return what `unmerge` would restore, and the evidence of the merge. Raises NotFoundError, InputError."""
    with services.database.read() as connection:
        return report.merged(connection, _resolve_merged(connection, who))


def unmerge(services: Services, who: str, *, actor: str) -> dict[str, Any]:
    """Separate a contact from the one it was merged into; the evidence of the merge stays.

    who: `contact:N` of the merged contact, or any identity of a family in which only one contact was merged.
    Raises NotFoundError, InputError.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        contact_id = _resolve_merged(connection, who)
        separated = asdict(merging.unmerge(connection, contact_id, now=now, playbook=playbook))
        record(connection, at=now, actor=actor, action="contact.unmerge", detail=separated)
        return separated

    return services.database.run(work)


def _resolve_merged(connection: sa.Connection, who: str) -> int:
    """Return the id of the merged contact that `who` means."""
    survivor = resolve_contact(connection, who)
    merged = [member for member in report.load_family_ids(connection, survivor) if member != survivor]
    number = read_row_id(who.removeprefix("contact:")) if who.startswith("contact:") else None
    if number is not None and number in merged:
        return number
    if not merged:
        raise NotFoundError(
            f"{who} is contact:{survivor}; no contact was merged into it, so there is nothing to undo"
        )
    if len(merged) > 1:
        several = ", ".join(f"contact:{member}" for member in merged)
        raise InputError(f"several contacts were merged into {who} (contact:{survivor}); name one: {several}")
    return merged[0]


# ---- consent ---------------------------------------------------------------------------------------------


def consent(
    services: Services, who: str, topic: str, state: str, *, actor: str, evidence: str
) -> dict[str, Any]:
    """Record a consent (`granted`) or its withdrawal (`withdrawn`) that a person told an operator, and its event.

    topic: a topic of the playbook, or `*` for all. Raises InputError for another topic or state, NotFoundError.
    """
    if state not in ("granted", "withdrawn"):
        message = f"{state!r}: write granted or withdrawn"
        raise InputError(message)

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        if topic != "*" and topic not in playbook.topics:
            message = f"no topic {topic!r} in the playbook; it has {', '.join(sorted(playbook.topics))}"
            raise InputError(message)
        contact_id = resolve_contact(connection, who)
        arguments: dict[str, Any] = {
            "contact_id": contact_id,
            "now": now,
            "source": "ops",
            "evidence": {"actor": actor, "words": evidence},
            "suppression_key": services.settings.suppression_secret,
        }
        if state == "granted":
            consents.grant_consent(connection, topic=topic, **arguments)
        else:
            consents.unsubscribe(connection, topic=None if topic == "*" else topic, **arguments)
        _add_consent_event(connection, contact_id, topic, state, now=now)
        detail = {"contact": contact_id, "topic": topic, "state": state}
        record(connection, at=now, actor=actor, action="contact.consent", detail=detail)
        return detail

    return services.database.run(work)


def _add_consent_event(
    connection: sa.Connection, contact_id: int, topic: str, state: str, *, now: Instant
) -> None:
    """Tell what the person said as an event, as our pages do: it ends runs, and the first consent starts one."""
    person = from_pages.find_page_contact(connection, contact_id)
    if person is not None:
        name = CONFIRMED if state == "granted" else "Unsubscribed"
        from_pages.add_page_event(connection, person, name, {"topic": topic}, now=now, source=BY_COMMAND)
