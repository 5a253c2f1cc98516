"""Objects for mails: by their keys, or the first ones of a kind; what people read of them, and what they were shown."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, relation
from nurture.database.engine import decode
from nurture.database.schema import events, messages, objects, shown_objects

#: (kind, key) of an object.
Thing = tuple[str, str]
#: A mail in one of these states has been shown to the person, or is about to be.
_SHOWN: Final = ("ready", "on_wire", "sent", "in_doubt")


def load_objects(connection: sa.Connection, things: Iterable[Thing]) -> dict[Thing, Any]:
    """Return (kind, key) -> row with `facts` (JSON text) and `first_at`, of those that exist."""
    rows: list[Row] = [{"kind": kind, "key": key} for kind, key in things]
    if not rows:
        return {}
    given = relation(connection, [objects.c.kind, objects.c.key], rows)
    statement = sa.select(objects.c.kind, objects.c.key, objects.c.facts, objects.c.first_at).join(
        given, sa.and_(given.c.kind == objects.c.kind, given.c.key == objects.c.key)
    )
    return {(row.kind, row.key): row for row in connection.execute(statement)}


def load_first_objects(connection: sa.Connection, kind: str, *, oldest: bool, limit: int) -> Sequence[Any]:
    """Return `key`, `facts` and `first_at` of the newest objects of a kind, or of the oldest ones."""
    order = objects.c.first_at if oldest else objects.c.first_at.desc()
    statement = sa.select(objects.c.key, objects.c.facts, objects.c.first_at)
    ordered = statement.where(objects.c.kind == kind).order_by(order, objects.c.key)
    return connection.execute(ordered.limit(limit)).all()


def load_read_events(
    connection: sa.Connection, contact_ids: Sequence[int], names: Collection[str]
) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Return (contact, name, properties) of the events of these names that the contacts have."""
    statement = sa.select(events.c.contact_id, events.c.name, events.c.body).where(
        any_of(events.c.contact_id, contact_ids, connection), events.c.name.in_(sorted(names))
    )
    return [
        (row.contact_id, row.name, decode(row.body).get("properties") or {})
        for row in connection.execute(statement)
    ]


def load_shown(connection: sa.Connection, contact_ids: Sequence[int], measures: Collection[str]) -> list[Any]:
    """Return `contact_id`, `measure`, `kind` and `key` of the objects that mails of these measures have shown."""
    statement = (
        sa.select(messages.c.contact_id, messages.c.measure, shown_objects.c.kind, shown_objects.c.key)
        .join(shown_objects, shown_objects.c.message_id == messages.c.id)
        .where(
            any_of(messages.c.contact_id, contact_ids, connection),
            messages.c.measure.in_(sorted(measures)),
            messages.c.status.in_(_SHOWN),
        )
    )
    return list(connection.execute(statement))


def save_shown(connection: sa.Connection, message_ids: Sequence[int], rows: Sequence[Row]) -> None:
    """Store the objects that these mails show, in place of those of an earlier attempt."""
    if not message_ids:
        return
    connection.execute(
        sa.delete(shown_objects).where(any_of(shown_objects.c.message_id, message_ids, connection))
    )
    insert(connection, shown_objects, rows, conflict=["message_id", "kind", "key"])
