"""The stored state of imports, and what is known of people whom a file names."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from nurture.contacts.event_queries import find_events
from nurture.database import schema as t
from nurture.database.bulk import any_of
from nurture.database.engine import decode
from nurture.domain.instant import Instant
from nurture.domain.values import read_decimal


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


def load_refunds(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[str, Decimal]:
    """Return order id -> the refunds that others than imports told of these contacts' orders, in one statement."""
    contacts = t.contacts.alias("members")
    mine = sa.or_(
        any_of(contacts.c.id, contact_ids, connection), any_of(contacts.c.survivor, contact_ids, connection)
    )
    statement = sa.select(t.events.c.body).where(
        t.events.c.contact_id.in_(sa.select(contacts.c.id).where(mine)),
        t.events.c.name == "Order Refunded",
        t.events.c.source != "import",
    )
    refunds: dict[str, Decimal] = {}
    for body in connection.execute(statement).scalars():
        properties = decode(body).get("properties", {})
        order, total = str(properties.get("order_id")), read_decimal(properties.get("total"))
        refunds[order] = refunds.get(order, Decimal(0)) + (total or 0)
    return refunds
