"""Deduplication: each row of a batch is a new event with a number, a duplicate, or a conflict.

The caller holds the locks of the contacts concerned. Numbers follow the order of application. A duplicate is
counted and dropped; the same id with another content is quarantined as `conflict`, because one of the two would
otherwise be lost silently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.accept import Rejected
from nurture.contacts.event_queries import add_events, event_of, find_events
from nurture.contacts.inbox_queries import InboxRow
from nurture.contacts.kept_events import row_document
from nurture.database.engine import decode, encode
from nurture.domain.event import Event
from nurture.domain.instant import HOUR, Duration

#: Times corrected by a client's clock skew differ a little each time the same call is repeated, and an event
#: without a time of its own takes that of its arrival.
_SAME_TIME: Final[Duration] = 24 * HOUR


@dataclass(slots=True)
class DeduplicatedRows:
    """The new events among the rows, the number of duplicates, and the conflicts for the quarantine."""

    # Row id -> its event, for the rows that are new.
    events: dict[int, Event] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: list[Rejected] = field(default_factory=list)


def deduplicate(connection: sa.Connection, rows: Sequence[tuple[InboxRow, int | None]]) -> DeduplicatedRows:
    """Add the new rows (each with its contact) to the table `events`, in order; two statements at most."""
    numbers = add_events(connection, [(row.id, contact) for row, contact in rows])
    deduplicated = DeduplicatedRows()
    again: list[tuple[InboxRow, int | None]] = []
    for row, contact in rows:
        number = numbers.pop((row.source, row.message_id), None)
        if number is None:
            again.append((row, contact))
        else:
            deduplicated.events[row.id] = event_of(row, seq=number)
    before = find_events(connection, [(row.source, row.message_id) for row, _ in again])
    for row, contact in again:
        if _is_same(row, before[row.source, row.message_id]):
            deduplicated.duplicates += 1
        else:
            reason = (
                "an event with this id and another content was applied before; give every event its own id"
            )
            deduplicated.conflicts.append(rejected(row, "conflict", reason, contact_id=contact))
    return deduplicated


def rejected(row: InboxRow, stage: str, reason: str, *, contact_id: int | None) -> Rejected:
    """Return the row as an item for the quarantine, which can hand it in again."""
    return Rejected(
        source=row.source,
        message_id=row.message_id,
        received_at=row.received_at,
        stage=stage,
        reason=reason,
        raw=encode(row_document(row)),
        contact_id=contact_id,
        form="event",
        hint=row.hint,
    )


def _is_same(row: InboxRow, before: sa.Row[Any]) -> bool:
    if (row.kind, row.name) != (before.kind, before.name) or abs(
        row.occurred_at - before.occurred_at
    ) > _SAME_TIME:
        return False
    if row.body == before.body:
        return True
    new, stored = decode(row.body), decode(before.body)
    return all(new.get(part, {}) == stored.get(part, {}) for part in ("properties", "traits"))
