"""Wishes as rows: appended under the contact's lock, read for whole families at once."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from nurture.database.bulk import Row, any_given, insert, list_text
from nurture.database.schema import wishes
from nurture.domain.consent.preferences import Wish, WishKind

_COLUMNS = ("contact_id", "kind", "value", "at", "source", "evidence")


def add_wishes(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append rows; the caller holds the contacts' locks and has raised their versions."""
    insert(connection, wishes, rows, columns=_COLUMNS)


def wish_rows(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Wish]:
    """Return every row of these contacts."""
    found = connection.execute(_wishes(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [
        Wish(contact, cast("WishKind", kind), value, at, number)
        for contact, kind, value, at, number in found.all()
    ]


@lru_cache
def _wishes(dialect: str) -> sa.Select[Any]:
    c = wishes.c
    return sa.select(c.contact_id, c.kind, c.value, c.at, c.id).where(any_given(c.contact_id, dialect))
