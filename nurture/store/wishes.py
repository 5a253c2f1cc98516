"""Wishes as rows: appended under the contact's lock, read for whole families at once."""

from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa

from nurture.domain.wishes import Wish, WishKind
from nurture.store.bulk import Row, any_of, insert
from nurture.store.tables import wishes

_COLUMNS = ("contact_id", "kind", "value", "at", "source", "evidence")


def add_wishes(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append rows; the caller holds the contacts' locks and has raised their versions."""
    insert(connection, wishes, rows, columns=_COLUMNS)


def wish_rows(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Wish]:
    """Return every row of these contacts."""
    statement = sa.select(wishes.c.contact_id, wishes.c.kind, wishes.c.value, wishes.c.at, wishes.c.id).where(
        any_of(wishes.c.contact_id, contact_ids, connection)
    )
    return [
        Wish(row.contact_id, cast("WishKind", row.kind), row.value, row.at, row.id)
        for row in connection.execute(statement)
    ]
