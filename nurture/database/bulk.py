"""Insert, update and join many rows with one statement on both databases: one JSON parameter carries the rows.

`relation` turns that parameter into a relation, so an insert, update or join of a batch is a single statement for any
size. Text must hold no NUL character; the inbox removes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nurture.database.bulk_sqlite import insert_rows, update_rows

Row = dict[str, Any]
#: A row as plain values in the order of the columns; cheaper, for hot transactions.
Values = tuple[Any, ...]

#: The name of the parameter that carries the rows.
_ROWS = "given_rows"


def relation(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], rows: Sequence[Row]
) -> sa.FromClause:
    """Return `rows` as a relation named `given` with the names and types of these columns of a table.

    Its further column `place_` is the row's position in `rows`, for ORDER BY.
    """
    names = [column.name for column in columns]
    parameter = sa.bindparam(None, _text(names, rows), type_=sa.Text(), unique=True)
    return _relation(connection.dialect.name, columns, parameter)


def relation_of_parameter(dialect: str, columns: Sequence[sa.Column[Any]], name: str = "rows") -> sa.Subquery:
    """Return the same relation for a cached statement: each execution binds `name` to `list_text` of the rows.

    Each row is then the list of its values in the order of the columns.
    """
    return _relation(dialect, columns, sa.bindparam(name, type_=sa.Text()))


def _text(names: Sequence[str], rows: Sequence[Row] | Sequence[Values]) -> str:
    values = [row if isinstance(row, tuple) else [row.get(name) for name in names] for row in rows]
    return msgspec.json.encode(values).decode()


def _relation(
    dialect: str, columns: Sequence[sa.Column[Any]], parameter: sa.BindParameter[str]
) -> sa.Subquery:
    if dialect == "postgresql":
        elements = sa.func.jsonb_array_elements(sa.cast(parameter, postgresql.JSONB)).table_valued(
            sa.column("value", postgresql.JSONB), with_ordinality="key", name="each"
        )
        elements = elements.render_derived()
        value = elements.c.value
        picked = [_pick_postgresql(value, place, column) for place, column in enumerate(columns)]
    else:
        elements = sa.func.json_each(parameter).table_valued(
            sa.column("value", sa.Text), sa.column("key", sa.Integer), name="each"
        )
        picked = [
            sa.type_coerce(sa.func.json_extract(elements.c.value, f"$[{place}]"), column.type).label(
                column.name
            )
            for place, column in enumerate(columns)
        ]
    return sa.select(*picked, elements.c.key.label("place_")).subquery("given")


def _pick_postgresql(value: Any, place: int, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.JSON):
        return sa.type_coerce(value.op("->")(sa.literal(place, sa.Integer)), column.type).label(column.name)
    text = value.op("->>")(sa.literal(place, sa.Integer))
    return sa.cast(text, column.type).label(column.name)


def insert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Row] | Sequence[Values],
    *,
    columns: Sequence[str] | None = None,
    conflict: Sequence[str] | None = None,
    update: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[sa.Row[Any]]:
    """Insert all rows in one statement, so that ids grow in their order; without rows no statement runs.

    columns: their names, required when rows are plain values. conflict: the columns of a unique key; a row that
    violates it is skipped, or its `update` columns get the new values. returning: columns of the inserted or updated
    rows, returned in no order.
    """
    if not rows:
        return []
    first = rows[0]
    names = tuple(columns or (() if isinstance(first, tuple) else first))
    key = None if conflict is None else tuple(conflict)
    if connection.dialect.name == "sqlite" and not returning:
        insert_rows(connection, table, names, rows, conflict=key, update=tuple(update))
        return []
    statement = _insert_of_rows(connection.dialect.name, table, names, key, tuple(update), tuple(returning))
    return _run(connection, statement, {_ROWS: _text(names, rows)}, returning)


@lru_cache(maxsize=256)
def _insert_of_rows(  # noqa: PLR0917 - a cache key has no names
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    conflict: tuple[str, ...] | None,
    update: tuple[str, ...],
    returning: tuple[str, ...],
) -> Any:
    """Return the cached statement; SQLAlchemy needs longer to build one than the database to run it."""
    given = _relation(dialect, [table.c[name] for name in names], sa.bindparam(_ROWS, type_=sa.Text()))
    # WHERE true: SQLite cannot otherwise tell ON CONFLICT from a join's ON.
    source = sa.select(*(given.c[name] for name in names)).where(sa.true()).order_by(given.c.place_)
    return insert_statement(
        dialect, table, names, source, conflict=conflict, update=update, returning=returning
    )


def _run(
    connection: sa.Connection, statement: Any, values: Mapping[str, str], returning: Sequence[str]
) -> list[sa.Row[Any]]:
    result = connection.execute(statement, values)
    return list(result.all()) if returning else []


def insert_statement(
    dialect: str,
    table: sa.Table,
    columns: Sequence[str],
    source: sa.Select[Any],
    *,
    conflict: Sequence[str] | None = None,
    update: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> Any:
    """Return a statement that inserts the rows of `source` into these columns; other arguments as in `insert`.

    source: must have a WHERE clause (`WHERE true` is enough), or SQLite takes ON CONFLICT for a join's ON.
    """
    build: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = build(table).from_select(list(columns), source)
    if conflict is not None:
        if update:
            statement = statement.on_conflict_do_update(
                index_elements=list(conflict),
                set_={name: statement.excluded[name] for name in update},
            )
        else:
            statement = statement.on_conflict_do_nothing(index_elements=list(conflict))
    if returning:
        statement = statement.returning(*(table.c[name] for name in returning))
    return statement


def update(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Row] | Sequence[Values],
    *,
    key: Sequence[str],
    columns: Sequence[str],
    where: sa.ColumnElement[bool] | None = None,
    returning: Sequence[str] = (),
) -> list[sa.Row[Any]]:
    """Set `columns` of the rows named by `key` in one statement.

    rows: plain values are the key's, then the columns'. where: a further condition over the table's columns.
    """
    if not rows:
        return []
    names = (*key, *columns)
    if connection.dialect.name == "sqlite" and not returning:
        update_rows(connection, table, rows, key=tuple(key), columns=tuple(columns), where=where)
        return []
    # `where` is part of the cache key, so callers should build it once.
    statement = _update_of_rows(
        connection.dialect.name, table, tuple(key), tuple(columns), where, tuple(returning)
    )
    return _run(connection, statement, {_ROWS: _text(names, rows)}, returning)


@lru_cache(maxsize=256)
def _update_of_rows(  # noqa: PLR0917 - a cache key has no names
    dialect: str,
    table: sa.Table,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    where: sa.ColumnElement[bool] | None,
    returning: tuple[str, ...],
) -> Any:
    names = (*key, *columns)
    given = _relation(dialect, [table.c[name] for name in names], sa.bindparam(_ROWS, type_=sa.Text()))
    statement: Any = sa.update(table).values({name: given.c[name] for name in columns})
    statement = statement.where(*(table.c[name] == given.c[name] for name in key))
    if where is not None:
        statement = statement.where(where)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


def any_of(
    column: sa.Column[Any], values: Sequence[Any], connection: sa.Connection
) -> sa.ColumnElement[bool]:
    """Return `column IN values` with any number of values as one parameter."""
    text = sa.bindparam(None, list_text(values), type_=sa.Text(), unique=True)
    return _any_of(column, text, connection.dialect.name)


def any_of_parameter(column: sa.Column[Any], dialect: str, name: str = "ids") -> sa.ColumnElement[bool]:
    """Return `column IN values` for a cached statement: each execution binds `name` to `list_text(values)`."""
    return _any_of(column, sa.bindparam(name, type_=sa.Text()), dialect)


def list_text(values: Iterable[Any]) -> str:
    """Return the values as JSON text, the parameter of `any_of_parameter` and `relation_of_parameter`."""
    return msgspec.json.encode(list(values)).decode()


def _any_of(column: sa.Column[Any], text: sa.BindParameter[str], dialect: str) -> sa.ColumnElement[bool]:
    if dialect == "postgresql":
        elements = sa.func.jsonb_array_elements_text(sa.cast(text, postgresql.JSONB)).table_valued(
            sa.column("value", sa.Text)
        )
        # ARRAY(subquery) is evaluated once, so every plan looks the values up by index and joins nothing.
        return column == sa.any_(
            sa.func.array(sa.select(sa.cast(elements.c.value, column.type)).scalar_subquery())
        )
    elements = sa.func.json_each(text).table_valued(sa.column("value", column.type))
    return column.in_(sa.select(elements.c.value))
