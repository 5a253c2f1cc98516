"""Cases that measures open (`notify` with `due`), in the transaction that decides the step.

A case is keyed by the event that led to it: of an answer that opened one already, the owner and the due time are set,
and no second case is opened. Each is announced as `Support Case Opened`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent
from nurture.database.bulk import Row
from nurture.domain.event import BY_MEASURE, Identity, depth_context
from nurture.domain.instant import Instant, to_iso
from nurture.feedback import reply_queries
from nurture.feedback.cases import OPENED, case_name

#: The channel of a case that no mail of a person began.
_CHANNEL: Final = "measure"


@dataclass(frozen=True, slots=True)
class MeasureCase:
    """A case that an action opens: for whom, for how long, and the event that it is about (0: none)."""

    action: int
    contact: int
    measure: str
    owner: str
    opened_at: Instant
    due_at: Instant
    event: int
    # How many events of measures led to its announcement, with that.
    depth: int


def open_cases(connection: sa.Connection, wanted: Sequence[MeasureCase]) -> dict[int, int]:
    """Open these cases, or set owner and due time of those that are open about the same event; action -> number.

    The answer to a case that was closed since is a case of its own.
    """
    about = reply_queries.lock_cases_about(connection, sorted({case.event for case in wanted if case.event}))
    # Of several about one event the last one decides.
    known = {
        case.event: case for case in wanted if case.event in about and about[case.event].closed_at is None
    }
    reply_queries.give_cases(connection, [_gift(about[event].id, case) for event, case in known.items()])
    new: dict[tuple[int, int], MeasureCase] = {}
    for case in wanted:
        if case.event not in known:
            # Without an event each action has a case of its own.
            new[case.event, 0 if case.event else case.action] = case
    taken = about.keys() - known.keys()
    rows = [_row(case, event=None if case.event in taken else case.event or None) for case in new.values()]
    opened = reply_queries.add_measure_cases(connection, rows)
    number_of = {place: opened[case.action] for place, case in new.items()}
    return {
        case.action: about[case.event].id
        if case.event in known
        else number_of[case.event, 0 if case.event else case.action]
        for case in wanted
    }


def announcement(case: MeasureCase, number: int, identity: Identity, *, key: str) -> NewEvent:
    """Return the event that tells of the case; key: the action's, so that it is told once."""
    return NewEvent(
        source=BY_MEASURE,
        message_id=key,
        kind="track",
        name=OPENED,
        occurred_at=case.opened_at,
        received_at=case.opened_at,
        identities=(identity,),
        properties={
            "case_id": case_name(number),
            "channel": _CHANNEL,
            "measure": case.measure,
            "owner": case.owner,
            "reply_by": to_iso(case.due_at),
        },
        context=depth_context(case.depth),
    )


def _gift(number: int, case: MeasureCase) -> tuple[int, str, Instant, int, Instant]:
    # The measure's own mail tells our staff of the answer.
    return number, case.owner, case.due_at, case.action, case.opened_at


def _row(case: MeasureCase, *, event: int | None) -> Row:
    return {
        "contact_id": case.contact,
        "owner": case.owner,
        "opened_at": case.opened_at,
        "due_at": case.due_at,
        "kind": reply_queries.ANSWER,
        "event_id": event,
        "told_at": case.opened_at,
        "action_id": case.action,
    }
