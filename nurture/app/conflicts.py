"""List conflicts and decide them: contacts that may be one person, and events that were set aside."""

from typing import Any

import sqlalchemy as sa

from nurture.app import contacts
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.conflict_queries import (
    SHARED_PHONE,
    decide_conflict,
    list_conflicts,
    load_conflict,
    lock_conflict,
)
from nurture.contacts.kept_events import read_event
from nurture.contacts.queries import survivor_of
from nurture.database.audit import record
from nurture.database.engine import decode
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import to_iso
from nurture.feedback.queries import load_names
from nurture.reports.conflicts import describe_conflict


def list_all(services: Services, *, decided: bool = False, limit: int = 100) -> list[dict[str, Any]]:
    """Return the open conflicts, or with `decided` all of them, the newest first."""
    with services.database.read() as connection:
        rows = list_conflicts(connection, state=None if decided else "open", limit=limit)
        return [describe_conflict(row) for row in rows]


def show(services: Services, number: int) -> dict[str, Any]:
    """Return one conflict with its evidence. Raises NotFoundError."""
    with services.database.read() as connection:
        row = load_conflict(connection, number)
    if row is None:
        raise NotFoundError(_missing(number))
    decided = None if row.decided_at is None else to_iso(row.decided_at)
    return {
        **describe_conflict(row),
        "evidence": decode(row.evidence),
        "decided": decided,
        "decided_by": row.decided_by,
    }


def decide(services: Services, number: int, *, merge: bool, actor: str) -> dict[str, Any]:
    """Decide a conflict: one person (`merge`), or two; for an event, apply it or drop it.

    Raises NotFoundError, and InputError for a conflict that was decided before.
    """

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        row = lock_conflict(connection, number)
        if row is None:
            raise NotFoundError(_missing(number))
        if row.state != "open":
            raise InputError(f"conflict {number} was decided before: {row.state}; nothing was changed")
        state = "merged" if merge else "separate"
        detail: dict[str, Any] = {"conflict": number, "state": state, "contact": row.contact_id}
        if merge and row.other_id is None:
            accept(connection, [_event_of(connection, row)])
        elif merge:
            one, two = (survivor_of(connection, side) or side for side in (row.contact_id, row.other_id))
            if one != two:
                detail |= contacts.merge_in(services, connection, one, two, actor=actor)
        decide_conflict(connection, number, state=state, actor=actor, at=now)
        record(connection, at=now, actor=actor, action="conflict.decide", detail=detail)
        return detail

    return services.database.run(work)


def _event_of(connection: sa.Connection, row: Any) -> NewEvent:
    """Return the event that was set aside, now told by an operator: about the contact of the conflict."""
    document = decode(row.evidence)
    names = dict(document["identities"])
    if row.kind == SHARED_PHONE:
        living = survivor_of(connection, row.contact_id) or row.contact_id
        names |= {name.kind: name.value for name in load_names(connection, [living]).values()}
    return read_event(
        {**document, "identities": names},
        source=document["source"],
        message_id=document["message_id"],
        received_at=row.at,
    )


def _missing(number: int) -> str:
    return f"there is no conflict {number}; `nurture conflicts list` shows the open ones"
