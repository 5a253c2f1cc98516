"""Cases: people who wait for an answer of our staff. Open one, announce it, give it to an owner, close it.

A case is announced as `Support Case Opened` (`case_id`, `reply_by`, `owner`); the programme's own holds,
acknowledgement and follow-up act on it. `Support Case Closed` ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent.queries import raise_versions
from nurture.contacts.accept import NewEvent, accept
from nurture.domain.feedback import SOURCE
from nurture.domain.instant import DAY, MINUTE, Duration, Instant, to_iso
from nurture.domain.journey.business_time import add_business_time
from nurture.domain.playbook import Playbook
from nurture.feedback import queries as feedback_queries
from nurture.feedback import reply_queries

OPENED: Final = "Support Case Opened"
UPDATED: Final = "Support Case Updated"
CLOSED: Final = "Support Case Closed"


def case_name(number: int) -> str:
    """Return the public name of a case: the `case_id` of its events."""
    return f"R-{number}"


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its living contact, its number, the message that was replied to, and when an answer is due."""

    contact: int
    number: int
    message: int | None
    due_at: Instant
    is_new: bool = False
    # "": the owner of the hold `open_case`.
    owner: str = ""


def open_case(
    connection: sa.Connection,
    playbook: Playbook,
    contact_id: int,
    message: int | None,
    *,
    within: Duration,
    now: Instant,
) -> Case:
    """Return the contact's open case, or a new one."""
    contact = reply_queries.lock_living(connection, contact_id)
    # The open case holds marketing: mail that the guard passed before goes back to the guard.
    raise_versions(connection, [contact])
    row = reply_queries.load_open_case(connection, contact, now=now)
    if row is not None:
        return Case(contact, row.id, message, row.due_at)
    due_at = answer_due(playbook, within, now=now)
    number = reply_queries.add_case(
        connection,
        {
            "contact_id": contact,
            "message_id": message,
            "owner": owner_of_cases(playbook),
            "opened_at": now,
            "due_at": due_at,
        },
    )
    return Case(contact, number, message, due_at, is_new=True)


def owner_of_cases(playbook: Playbook) -> str:
    """Return the owner of the playbook's hold `open_case`."""
    hold = playbook.holds.get("open_case")
    return hold.owner if hold else "support"


def answer_due(playbook: Playbook, within: Duration, *, now: Instant) -> Instant:
    """Return until when a case is to be answered: in the owner's business hours where the playbook declares them.

    There a day is one day of the owner's calendar, and hours are open hours.
    """
    owner = playbook.owners.get(owner_of_cases(playbook))
    if owner is None or owner.calendar is None:
        return now + within
    days, rest = divmod(within, DAY)
    return add_business_time(now, days, rest, owner.calendar)


def case_event(
    connection: sa.Connection,
    case: Case,
    name: str,
    *,
    now: Instant,
    key: str,
    properties: Mapping[str, Any],
) -> NewEvent | None:
    """Return an event of the contact about the case; None when the contact has no identity any more."""
    identity = feedback_queries.load_names(connection, [case.contact]).get(case.contact)
    if identity is None:
        return None
    return NewEvent(
        source=SOURCE,
        message_id=f"{name}:{case.number}:{key}"[:200],
        kind="track",
        name=name,
        occurred_at=now,
        received_at=now,
        identities=(identity,),
        properties={"case_id": case_name(case.number), **properties},
    )


def is_announced(row: Any) -> bool:
    """Tell whether events tell of a case (a row of `dialogues`): of one that a reply or a measure opened."""
    return row.kind == reply_queries.REPLY or row.action_id is not None


def close_case(connection: sa.Connection, row: Any, *, answered_by: str, key: str, now: Instant) -> None:
    """Close a case (a locked row of `dialogues`) as answered now. An event with this key announces it."""
    reply_queries.update_case(connection, row.id, answered_at=row.answered_at or now, closed_at=now)
    if not is_announced(row):
        return
    answer = {"answered_by": answered_by, "minutes": (now - row.opened_at) // MINUTE}
    _announce(connection, row, CLOSED, answer, key=key, now=now)


def assign_case(connection: sa.Connection, row: Any, owner: str, *, key: str, now: Instant) -> None:
    """Give a case (a locked row of `dialogues`) to another owner. An event with this key announces it."""
    reply_queries.update_case(connection, row.id, owner=owner)
    if not is_announced(row):
        return
    given = {"owner": owner, "reply_by": to_iso(row.due_at)}
    _announce(connection, row, UPDATED, given, key=key, now=now)


def _announce(
    connection: sa.Connection, row: Any, name: str, properties: Mapping[str, Any], *, key: str, now: Instant
) -> None:
    contact = reply_queries.lock_living(connection, row.contact_id)
    case = Case(contact, row.id, row.message_id, row.due_at)
    event = case_event(connection, case, name, now=now, key=key, properties=properties)
    accept(connection, [event] if event else [])
