"""Read and write `conflicts`: contacts that may be one person, and events that only a hint tells."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.inbox_queries import InboxRow
from nurture.database.bulk import Row, any_of, insert
from nurture.database.engine import encode
from nurture.database.schema import conflicts, contacts
from nurture.domain.identity import Conflict
from nurture.domain.instant import Instant

#: The kinds of a conflict that is an event which was set aside: a hint may not tell it; it names only a telephone
#: number that two contacts have.
EVENT = "event"
SHARED_PHONE = "shared_phone"


def contact_conflict(row: InboxRow, contact: int, conflict: Conflict, *, at: Instant) -> Row:
    """Return the row for two contacts that the event ties together without proof; the older is named first."""
    first, second = sorted((contact, conflict.contact))
    evidence = {"source": row.source, "message_id": row.message_id, "event": row.name, "hint": row.hint}
    return {
        "contact_id": first,
        "other_id": second,
        "kind": conflict.kind,
        "subject": f"contact:{second}",
        "evidence": encode(evidence),
        "at": at,
    }


def event_conflict(row: InboxRow, contact: int, item: Mapping[str, Any], *, kind: str, at: Instant) -> Row:
    """Return the row for an event that is set aside; item: all that is needed to apply it."""
    return {
        "contact_id": contact,
        "other_id": None,
        "kind": kind,
        "subject": f"event:{row.source}:{row.message_id}",
        "evidence": encode({"source": row.source, "message_id": row.message_id, **item}),
        "at": at,
    }


def add_conflicts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert conflicts that are not known yet, in one statement; without rows no statement runs."""
    unique = {(row["contact_id"], row["subject"]): row for row in reversed(rows)}
    insert(connection, conflicts, [unique[key] for key in sorted(unique)], conflict=["contact_id", "subject"])


def list_conflicts(
    connection: sa.Connection,
    *,
    contact_ids: Sequence[int] | None = None,
    state: str | None = "open",
    limit: int,
) -> list[sa.Row[Any]]:
    """Return conflicts, the newest first, of these contacts or (None) of everybody.

    A conflict of two contacts that have become one since then is not among the open ones.
    """
    statement = sa.select(conflicts).order_by(conflicts.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(conflicts.c.state == state)
    if contact_ids is not None:
        mine = any_of(conflicts.c.contact_id, contact_ids, connection)
        statement = statement.where(sa.or_(mine, any_of(conflicts.c.other_id, contact_ids, connection)))
    return list(connection.execute(statement))


def find_sharing_phone(connection: sa.Connection, contact_ids: Sequence[int]) -> set[int]:
    """Return those of the living contacts whose telephone number another contact has too."""
    merged = sa.select(contacts.c.id, contacts.c.survivor).where(
        sa.or_(
            any_of(contacts.c.id, contact_ids, connection),
            any_of(contacts.c.survivor, contact_ids, connection),
        )
    )
    family = {row.id: row.survivor or row.id for row in connection.execute(merged)}
    members = sorted(family)
    shared = sa.select(conflicts.c.contact_id, conflicts.c.other_id).where(
        conflicts.c.kind == "phone",
        conflicts.c.state != "merged",
        sa.or_(
            any_of(conflicts.c.contact_id, members, connection),
            any_of(conflicts.c.other_id, members, connection),
        ),
    )
    return {family[side] for row in connection.execute(shared) for side in row if side in family}


def count_open(connection: sa.Connection) -> int:
    """Return how many conflicts wait for a decision."""
    statement = sa.select(sa.func.count()).select_from(conflicts).where(conflicts.c.state == "open")
    return int(connection.execute(statement).scalar_one())


def load_conflict(connection: sa.Connection, number: int) -> Any:
    """Return a conflict; None when there is none of that number."""
    return connection.execute(sa.select(conflicts).where(conflicts.c.id == number)).one_or_none()


def lock_conflict(connection: sa.Connection, number: int) -> Any:
    """Lock and return a conflict; None when there is none of that number."""
    statement = sa.select(conflicts).where(conflicts.c.id == number).with_for_update()
    return connection.execute(statement).one_or_none()


def decide_conflict(connection: sa.Connection, number: int, *, state: str, actor: str, at: Instant) -> None:
    """Store what was decided."""
    values = {"state": state, "decided_by": actor, "decided_at": at}
    connection.execute(sa.update(conflicts).where(conflicts.c.id == number).values(values))


def settle_pair(
    connection: sa.Connection, one: int, two: int, *, state: str, actor: str, at: Instant
) -> None:
    """Close the conflicts of two contacts, and of those merged into them, because they were merged or parted."""
    sides = []
    for contact in (one, two):
        merged = sa.select(contacts.c.id).where(
            sa.or_(contacts.c.id == contact, contacts.c.survivor == contact)
        )
        sides.append(merged)
    pair = sa.or_(
        sa.and_(conflicts.c.contact_id.in_(sides[0]), conflicts.c.other_id.in_(sides[1])),
        sa.and_(conflicts.c.contact_id.in_(sides[1]), conflicts.c.other_id.in_(sides[0])),
    )
    values = {"state": state, "decided_by": actor, "decided_at": at}
    connection.execute(sa.update(conflicts).where(pair, conflicts.c.state != state).values(values))
