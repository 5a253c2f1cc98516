"""Watches: who waits for an object, and since when."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, relation
from nurture.database.schema import watches
from nurture.domain.instant import Instant

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


def set_watches(connection: sa.Connection, since: Mapping[tuple[str, int], Mapping[str, Instant]]) -> None:
    """Let contacts watch exactly these objects on these lists. since: (list, contact) -> key -> since."""
    if not since:
        return
    names: list[Row] = [{"kind": kind, "contact_id": contact} for kind, contact in sorted(since)]
    given = relation(connection, [watches.c.kind, watches.c.contact_id], names)
    is_listed = sa.exists().where(given.c.kind == watches.c.kind, given.c.contact_id == watches.c.contact_id)
    connection.execute(
        sa.delete(watches).where(any_of(watches.c.contact_id, _contacts(names), connection), is_listed)
    )
    rows: list[Row] = [
        {"kind": kind, "key": key, "contact_id": contact, "since": at}
        for (kind, contact), objects in sorted(since.items())
        for key, at in objects.items()
    ]
    insert(connection, watches, rows, conflict=_KEY)


def _contacts(rows: Sequence[Row]) -> list[int]:
    return [row["contact_id"] for row in rows]
