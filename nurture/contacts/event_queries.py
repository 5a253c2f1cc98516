"""Store and load applied events: in order of application, each once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import family
from nurture.database.bulk import any_of, insert_statement, list_text, relation, relation_of_parameter
from nurture.database.engine import decode
from nurture.database.schema import events, inbox
from nurture.domain.event import Event

#: (source, message id): the same pair is the same event.
Key = tuple[str, str]

_COPIED = ("source", "message_id", "kind", "name", "occurred_at", "received_at", "historic", "hint", "body")


def add_events(connection: sa.Connection, rows: Sequence[tuple[int, int | None]]) -> dict[Key, int]:
    """Insert the events of inbox rows, (row id, contact), in order; return the sequence number of each new one.

    An event that is missing from the answer was applied before. Sequence numbers grow with the order of `rows`, which
    under the contact's lock is the order of application. INSERT ... SELECT: the bodies stay inside the database.
    """
    if not rows:
        return {}
    added = connection.execute(_add(connection.dialect.name), {"rows": list_text(rows)}).all()
    return {(source, message_id): number for number, source, message_id in added}


@lru_cache
def _add(dialect: str) -> Any:
    pairs = relation_of_parameter(dialect, [inbox.c.id, events.c.contact_id])
    source = (
        sa.select(pairs.c.contact_id, *(inbox.c[name] for name in _COPIED))
        .join(inbox, inbox.c.id == pairs.c.id)
        .where(sa.true())
        .order_by(pairs.c.place_)
    )
    return insert_statement(
        dialect,
        events,
        ("contact_id", *_COPIED),
        source,
        conflict=("source", "message_id"),
        returning=("id", "source", "message_id"),
    )


def find_events(connection: sa.Connection, keys: Sequence[Key]) -> dict[Key, sa.Row[Any]]:
    """Return the stored events of these keys."""
    if not keys:
        return {}
    rows = [{"source": source, "message_id": message_id} for source, message_id in keys]
    wanted = relation(connection, [events.c.source, events.c.message_id], rows)
    statement = sa.select(events).join(
        wanted, sa.and_(events.c.source == wanted.c.source, events.c.message_id == wanted.c.message_id)
    )
    return {(row.source, row.message_id): row for row in connection.execute(statement)}


def drop_events(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Delete events that this transaction added."""
    if ids:
        connection.execute(sa.delete(events).where(any_of(events.c.id, ids, connection)))


def load_events(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Event]]:
    """Return every event of these people and of the contacts merged into them, in order of application."""
    people = family(connection, ids)
    statement = (
        sa.select(people.c.person, events)
        .join(events, events.c.contact_id == people.c.id)
        .order_by(people.c.person, events.c.id)
    )
    histories: dict[int, list[Event]] = {contact: [] for contact in ids}
    for row in connection.execute(statement):
        histories[row.person].append(event_of(row, seq=row.id))
    return histories


def event_of(row: Any, *, seq: int) -> Event:
    """Return the event of a row of `events` or `inbox`, without its identities."""
    body: Mapping[str, Any] = decode(row.body)
    return Event(
        seq=seq,
        source=row.source,
        message_id=row.message_id,
        kind=row.kind,
        name=row.name,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        properties=body.get("properties", {}),
        traits=body.get("traits", {}),
        context=body.get("context", {}),
        historic=row.historic,
        hint=row.hint,
    )
