"""Read and append rows of preferences. Rows are appended under the contact's lock and read for whole families."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of_parameter, insert, list_text
from nurture.database.schema import wishes
from nurture.domain.consent.preferences import Preference, PreferenceKind

_COLUMNS = ("contact_id", "kind", "value", "at", "source", "evidence")


def add_preferences(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append rows; the caller holds the contacts' locks and has raised their versions."""
    insert(connection, wishes, rows, columns=_COLUMNS)


def load_preferences(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Preference]:
    """Return every row of these contacts."""
    rows = connection.execute(_preferences(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [
        Preference(contact, cast("PreferenceKind", kind), value, at, number)
        for contact, kind, value, at, number in rows.all()
    ]


@lru_cache
def _preferences(dialect: str) -> sa.Select[Any]:
    c = wishes.c
    return sa.select(c.contact_id, c.kind, c.value, c.at, c.id).where(any_of_parameter(c.contact_id, dialect))
