"""Answers in a survey or a review that our staff must read: each opens a case, and a mail brings it to them.

`open_answer_cases` runs in the transaction that applies the events, `tell_staff` queues the mails afterwards. Such a
case holds no mail and no event announces it: the programme says what an answer means for the person's mail.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.engine import decode
from nurture.database.notifications import FEEDBACK, note
from nurture.domain.event import Event
from nurture.domain.inbound.answers import needs_reader
from nurture.domain.inbound.verp import build_case_address
from nurture.domain.instant import DAY, Instant
from nurture.domain.playbook import Playbook
from nurture.feedback import reply_queries
from nurture.feedback.cases import Case, answer_due, case_name, owner_of_cases
from nurture.feedback.replies import ReplySettings, describe_person, queue_notice
from nurture.transports.notice import Notice

#: The time within which staff read an answer; one business day of the owner's calendar where there is one.
_WITHIN: Final = DAY
#: The properties of an answer that a mail to our staff shows, and the characters of each.
_SHOWN: Final = ("survey", "score", "answer", "rating", "product_id", "comment", "review_body")
_SHOWN_MAX: Final = 2_000
#: The characters of a survey's or product's name in a subject.
_SUBJECT_MAX: Final = 80


def open_answer_cases(
    connection: sa.Connection, events: Iterable[tuple[Event, int | None]], playbook: Playbook, *, now: Instant
) -> int:
    """Open a case for each of these events (with its contact) that somebody must read; the same event opens one.

    Without such an event no statement runs.
    """
    wanted = [(event, contact) for event, contact in events if contact is not None and needs_reader(event)]
    if not wanted:
        return 0
    due_at = answer_due(playbook, _WITHIN, now=now)
    owner = owner_of_cases(playbook)
    rows = [
        {
            "contact_id": contact,
            "message_id": _mail_of(event),
            "owner": owner,
            "opened_at": now,
            "due_at": due_at,
            "kind": reply_queries.ANSWER,
            "event_id": event.seq,
        }
        for event, contact in wanted
    ]
    reply_queries.add_answer_cases(connection, rows)
    note(connection, FEEDBACK, "")
    return len(rows)


def tell_staff(connection: sa.Connection, settings: ReplySettings, *, now: Instant, limit: int = 100) -> int:
    """Mail each answer that our staff were not told of, once; return how many. Without their address none."""
    if not settings.replies_to:
        return 0
    rows = reply_queries.lock_untold_answers(connection, limit=limit)
    for row in rows:
        reply_queries.update_case(connection, row.id, told_at=now)
        contact = reply_queries.living_of(connection, row.contact_id)
        person = reply_queries.load_contact(connection, contact)
        words = describe_answer(connection, row.event_id)
        if person is None or person.erased_at is not None or words is None:
            continue
        queue_notice(
            connection,
            "reply",
            _notice(
                connection,
                settings,
                Case(contact, row.id, row.message_id, row.due_at),
                person,
                words,
                now=now,
            ),
            case=row.id,
            contact=contact,
            now=now,
        )
    return len(rows)


def describe_answer(connection: sa.Connection, event_id: int | None) -> dict[str, str] | None:
    """Return the event and the words of an answer; None when it is no longer kept."""
    row = None if event_id is None else reply_queries.load_event(connection, event_id)
    if row is None:
        return None
    values = decode(row.body).get("properties", {})
    shown = {name: str(values[name])[:_SHOWN_MAX] for name in _SHOWN if values.get(name) not in (None, "")}
    return {"event": row.name, **shown}


def describe_words(connection: sa.Connection, event_id: int | None) -> list[str]:
    """Return the words of an answer as lines below a mail to our staff; of another event, and of none, nothing."""
    words = describe_answer(connection, event_id)
    return ["", "-" * 60, "", *_lines_of(words)] if words is not None and len(words) > 1 else []


def _lines_of(words: Mapping[str, str]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {value}" for name, value in words.items()]


def _notice(
    connection: sa.Connection,
    settings: ReplySettings,
    case: Case,
    person: sa.Row[Any],
    words: dict[str, str],
    *,
    now: Instant,
) -> Notice:
    reply_to = [person.email] if person.email else []
    if person.email and settings.bounce_address:
        reply_to.append(build_case_address(settings.keys, settings.bounce_address, case.number))
    lines = _lines_of(words)
    about = (words.get("survey") or words.get("product_id") or "")[:_SUBJECT_MAX]
    return Notice(
        sender=settings.sender,
        name="nurture",
        recipient=settings.replies_to,
        reply_to=tuple(reply_to),
        subject=f"[{case_name(case.number)}] {words['event']} {about}".strip(),
        text="\n".join([describe_person(connection, settings, case), "", "-" * 60, "", *lines, ""]),
        at=now,
        key=f"answer:{case.number}",
    )


def _mail_of(event: Event) -> int | None:
    """Return the number of the mail that was answered; the survey page writes it into the event."""
    number = event.properties.get("message")
    is_ours = event.source == "web" and isinstance(number, int) and not isinstance(number, bool)
    return number if is_ours else None
