"""The stored state of imports, and what is known of people whom a file names."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.event_queries import find_events
from nurture.database import schema as t
from nurture.domain.instant import Instant


def load_or_create(connection: sa.Connection, fingerprint: str, name: str, now: Instant) -> sa.Row[Any]:
    """Return the row of an import: how many records are stored, and whether it is done."""
    statement = sa.select(t.imports).where(t.imports.c.fingerprint == fingerprint)
    row = connection.execute(statement).one_or_none()
    if row is None:
        values = {
            "fingerprint": fingerprint,
            "name": name,
            "at": now,
            "rows": 0,
            "rejected": 0,
            "done": False,
        }
        connection.execute(sa.insert(t.imports).values(values))
        row = connection.execute(statement).one()
    return row


def advance(connection: sa.Connection, fingerprint: str, *, rows: int, rejected: int) -> None:
    """Store that so many more records are done."""
    connection.execute(
        sa.update(t.imports)
        .where(t.imports.c.fingerprint == fingerprint)
        .values(rows=t.imports.c.rows + rows, rejected=t.imports.c.rejected + rejected)
    )


def finish(connection: sa.Connection, fingerprint: str) -> None:
    """Store that the import is done."""
    connection.execute(sa.update(t.imports).where(t.imports.c.fingerprint == fingerprint).values(done=True))


def load_known_ids(connection: sa.Connection, message_ids: Sequence[str]) -> set[str]:
    """Return those of these message ids of imports that are events already."""
    return {
        message_id for _, message_id in find_events(connection, [("import", name) for name in message_ids])
    }
