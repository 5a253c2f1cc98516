"""Watches: who waits for an object, and since when."""

from collections.abc import Sequence

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, relation
from nurture.database.schema import watches

_KEY = ("kind", "key", "contact_id")


def renew_watches(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Store these watches; one that is there already goes on from the newer of both instants."""
    if not rows:
        return
    insert(connection, watches, rows, conflict=_KEY)
    given = relation(connection, [watches.c[name] for name in (*_KEY, "since")], rows)
    connection.execute(
        sa.update(watches)
        .where(
            any_of(watches.c.contact_id, _contacts(rows), connection),
            *(watches.c[name] == given.c[name] for name in _KEY),
            watches.c.since < given.c.since,
        )
        .values(since=given.c.since)
    )


def end_watches(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Delete these watches; one that was begun later than the row's `since` stays."""
    if not rows:
        return
    given = relation(connection, [watches.c[name] for name in (*_KEY, "since")], rows)
    is_ended = sa.exists().where(
        *(given.c[name] == watches.c[name] for name in _KEY), watches.c.since <= given.c.since
    )
    connection.execute(
        sa.delete(watches).where(any_of(watches.c.contact_id, _contacts(rows), connection), is_ended)
    )


def _contacts(rows: Sequence[Row]) -> list[int]:
    return [row["contact_id"] for row in rows]
