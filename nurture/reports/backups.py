"""How far a database's rows go, and what another one holds beyond an instant. Read-only."""

from typing import Final

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.instant import Instant

#: The columns that say when a row came.
_INSTANTS: Final = (
    t.events.c.received_at,
    t.inbox.c.received_at,
    t.messages.c.decided_at,
    t.messages.c.sent_at,
    t.consents.c.at,
    t.suppressions.c.at,
    t.audit.c.at,
)


def missing_tables(connection: sa.Connection) -> list[str]:
    """Return the tables of this version that the database lacks."""
    return sorted(set(t.metadata.tables) - set(sa.inspect(connection).get_table_names()))


def count_rows(connection: sa.Connection) -> dict[str, int]:
    """Return how many contacts, events, messages, consents and suppressions there are."""
    tables = (t.contacts, t.events, t.messages, t.consents, t.suppressions)
    counts = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in tables]
    row = connection.execute(sa.select(*counts)).one()
    return {table.name: int(count) for table, count in zip(tables, row, strict=True)}


def newest_instant(connection: sa.Connection, *, until: Instant) -> Instant | None:
    """Return when the newest row came, but nothing after `until`, which a wrong clock wrote; None without rows."""
    newest = [sa.select(sa.func.max(column)).where(column <= until).scalar_subquery() for column in _INSTANTS]
    found = [at for at in connection.execute(sa.select(*newest)).one() if at is not None]
    return max(found, default=None)


def count_later(connection: sa.Connection, after: Instant) -> dict[str, int]:
    """Return how many rows came after an instant, by what they are; restoring an older database loses them."""
    counts = {
        "events": _later(t.events.c.received_at, after),
        "inbox": _later(t.inbox.c.received_at, after),
        "sent": _later(t.messages.c.sent_at, after),
        "consents": _later(t.consents.c.at, after),
        "suppressions": _later(t.suppressions.c.at, after),
        # People who would be there again.
        "erasures": _later(t.contacts.c.erased_at, after),
    }
    row = connection.execute(sa.select(*counts.values())).one()
    return {name: int(count) for name, count in zip(counts, row, strict=True)}


def _later(column: sa.Column[Instant], after: Instant) -> "sa.ScalarSelect[int]":
    return sa.select(sa.func.count()).where(column > after).scalar_subquery()
