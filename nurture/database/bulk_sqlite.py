"""Insert and update many rows with one `executemany` on SQLite.

SQLite runs in this process, so a row costs no round trip, and unpacking rows from one JSON parameter, as
`database.bulk` does on PostgreSQL, costs more than writing them. Microseconds a row of 15 columns:

    statement   one JSON parameter   executemany
    insert      21                   8
    update      22                   4
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Values = Sequence[Any]

_DIALECT: Final = sqlite.dialect()
_quoted: Final[Callable[[str], str]] = _DIALECT.identifier_preparer.quote


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    rows: Sequence[dict[str, Any]] | Sequence[Values],
    *,
    conflict: tuple[str, ...] | None,
    update: tuple[str, ...],
) -> None:
    """Insert the rows in their order; arguments as in `bulk.insert`, which has `returning` too."""
    text = _insert_text(table, names, conflict, update)
    connection.exec_driver_sql(text, _values(table, names, rows))


def update_rows(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]] | Sequence[Values],
    *,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    where: sa.ColumnElement[bool] | None,
) -> None:
    """Set the columns of the rows named by `key`; arguments as in `bulk.update`, which has `returning` too."""
    text = _update_text(table, key, columns, where)
    connection.exec_driver_sql(text, _values(table, (*key, *columns), rows))


@lru_cache(maxsize=256)
def _insert_text(
    table: sa.Table, names: tuple[str, ...], conflict: tuple[str, ...] | None, update: tuple[str, ...]
) -> str:
    places = ", ".join("?" * len(names))
    # S608: names of our own tables and columns; values are bound.
    text = f"INSERT INTO {_quoted(table.name)} ({_list(names)}) VALUES ({places})"  # noqa: S608
    if conflict is None:
        return text
    if not update:
        return f"{text} ON CONFLICT ({_list(conflict)}) DO NOTHING"
    sets = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in update)
    return f"{text} ON CONFLICT ({_list(conflict)}) DO UPDATE SET {sets}"


@lru_cache(maxsize=256)
def _update_text(
    table: sa.Table, key: tuple[str, ...], columns: tuple[str, ...], where: sa.ColumnElement[bool] | None
) -> str:
    place = {name: number for number, name in enumerate((*key, *columns), start=1)}
    sets = ", ".join(f"{_quoted(name)} = ?{place[name]}" for name in columns)
    named = [f"{_quoted(name)} = ?{place[name]}" for name in key]
    if where is not None:
        named.append(str(where.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})))
    return f"UPDATE {_quoted(table.name)} SET {sets} WHERE {' AND '.join(named)}"  # noqa: S608 - as above


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _values(
    table: sa.Table, names: tuple[str, ...], rows: Sequence[dict[str, Any]] | Sequence[Values]
) -> list[tuple[Any, ...]]:
    """Return the rows as parameters, documents as JSON text."""
    plain = [
        tuple([row.get(name) for name in names]) if isinstance(row, dict) else tuple(row) for row in rows
    ]
    documents = _document_places(table, names)
    if not documents:
        return plain
    encoded = []
    for row in plain:
        values = list(row)
        for place in documents:
            if values[place] is not None:
                values[place] = msgspec.json.encode(values[place]).decode()
        encoded.append(tuple(values))
    return encoded


@lru_cache(maxsize=256)
def _document_places(table: sa.Table, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(names) if isinstance(table.c[name].type, sa.JSON))
