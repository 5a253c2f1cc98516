"""Many rows in one statement, the same way on both databases: the rows travel as one JSON parameter.

`relation` turns that parameter into something to select from, so inserts, updates and joins of a batch are
each a single statement whatever the batch's size. Text must hold no NUL character (the inbox removes them).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nurture.database.bulk_sqlite import insert_each, update_each

Row = dict[str, Any]
#: The same as plain values, in the order of the columns: for the rows of hot transactions.
Values = tuple[Any, ...]

#: The parameter that carries a batch's rows.
_GIVEN = "given_rows"


def relation(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], rows: Sequence[Row]
) -> sa.FromClause:
    """Return `rows` as a relation named `given` with these columns (names and types of a table's own).

    Its further column `place_` is the row's place in `rows`, for those who need the order.
    """
    names = [column.name for column in columns]
    given = sa.bindparam(None, _text(names, rows), type_=sa.Text(), unique=True)
    return _relation(connection.dialect.name, columns, given)


def relation_given(dialect: str, columns: Sequence[sa.Column[Any]], name: str = "rows") -> sa.Subquery:
    """Return the same for a statement that is made once: each run binds `name` to `list_text` of the rows.

    There each row is the list of its values, in the order of the columns.
    """
    return _relation(dialect, columns, sa.bindparam(name, type_=sa.Text()))


def _text(names: Sequence[str], rows: Sequence[Row] | Sequence[Values]) -> str:
    values = [row if isinstance(row, tuple) else [row.get(name) for name in names] for row in rows]
    return msgspec.json.encode(values).decode()


def _relation(dialect: str, columns: Sequence[sa.Column[Any]], given: sa.BindParameter[str]) -> sa.Subquery:
    if dialect == "postgresql":
        each = sa.func.jsonb_array_elements(sa.cast(given, postgresql.JSONB)).table_valued(
            sa.column("value", postgresql.JSONB), with_ordinality="key", name="each"
        )
        each = each.render_derived()
        value = each.c.value
        picked = [_pick_postgresql(value, place, column) for place, column in enumerate(columns)]
    else:
        each = sa.func.json_each(given).table_valued(
            sa.column("value", sa.Text), sa.column("key", sa.Integer), name="each"
        )
        picked = [
            sa.type_coerce(sa.func.json_extract(each.c.value, f"$[{place}]"), column.type).label(column.name)
            for place, column in enumerate(columns)
        ]
    return sa.select(*picked, each.c.key.label("place_")).subquery("given")


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
    """Insert all rows in one statement, in the order given (ids grow with it); nothing for no rows.

    columns: needed where rows are plain values.
    conflict: the columns of a unique key; on a clash the row is left alone, or its `update` columns are set
    to the new values. returning: columns of the rows inserted or updated, in no order.
    """
    if not rows:
        return []
    first = rows[0]
    names = tuple(columns or (() if isinstance(first, tuple) else first))
    key = None if conflict is None else tuple(conflict)
    if connection.dialect.name == "sqlite" and not returning:
        insert_each(connection, table, names, rows, conflict=key, update=tuple(update))
        return []
    statement = _insert_given(connection.dialect.name, table, names, key, tuple(update), tuple(returning))
    return _run(connection, statement, {_GIVEN: _text(names, rows)}, returning)


@lru_cache(maxsize=256)
def _insert_given(  # noqa: PLR0917 - a cache key has no names
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    conflict: tuple[str, ...] | None,
    update: tuple[str, ...],
    returning: tuple[str, ...],
) -> Any:
    """Return the statement; making one costs more than the database takes to run it, so each is made once."""
    given = _relation(dialect, [table.c[name] for name in names], sa.bindparam(_GIVEN, type_=sa.Text()))
    # WHERE true: SQLite cannot otherwise tell ON CONFLICT from a join's ON.
    source = sa.select(*(given.c[name] for name in names)).where(sa.true()).order_by(given.c.place_)
    return insert_statement(
        dialect, table, names, source, conflict=conflict, update=update, returning=returning
    )


def _run(
    connection: sa.Connection, statement: Any, values: Mapping[str, str], returning: Sequence[str]
) -> list[sa.Row[Any]]:
    done = connection.execute(statement, values)
    return list(done.all()) if returning else []


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
    """Return a statement that inserts what `source` selects for these columns; the rest as in `insert`.

    source: has a WHERE clause, be it true, for SQLite's sake.
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
    """Set `columns` of the rows named by `key` in one statement; `where` narrows (over the table's columns).

    rows: plain values are those of the key, then those of the columns.
    """
    if not rows:
        return []
    names = (*key, *columns)
    if connection.dialect.name == "sqlite" and not returning:
        update_each(connection, table, rows, key=tuple(key), columns=tuple(columns), where=where)
        return []
    # Kept by `where` too: best made once.
    statement = _update_given(
        connection.dialect.name, table, tuple(key), tuple(columns), where, tuple(returning)
    )
    return _run(connection, statement, {_GIVEN: _text(names, rows)}, returning)


@lru_cache(maxsize=256)
def _update_given(  # noqa: PLR0917 - a cache key has no names
    dialect: str,
    table: sa.Table,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    where: sa.ColumnElement[bool] | None,
    returning: tuple[str, ...],
) -> Any:
    names = (*key, *columns)
    given = _relation(dialect, [table.c[name] for name in names], sa.bindparam(_GIVEN, type_=sa.Text()))
    statement: Any = sa.update(table).values({name: given.c[name] for name in columns})
    statement = statement.where(*(table.c[name] == given.c[name] for name in key))
    if where is not None:
        statement = statement.where(where)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


def any_of(
    column: sa.Column[Any], values: Sequence[Any], connection: sa.Connection
) -> sa.ColumnElement[bool]:
    """Return `column IN values` with the values as one parameter, whatever their number."""
    text = sa.bindparam(None, list_text(values), type_=sa.Text(), unique=True)
    return _any_of(column, text, connection.dialect.name)


def any_given(column: sa.Column[Any], dialect: str, name: str = "ids") -> sa.ColumnElement[bool]:
    """Return `column IN values` for a statement that is made once: each run binds `name` to `list_text(values)`."""
    return _any_of(column, sa.bindparam(name, type_=sa.Text()), dialect)


def list_text(values: Iterable[Any]) -> str:
    """Return the values as the parameter of `any_given`."""
    return msgspec.json.encode(list(values)).decode()


def _any_of(column: sa.Column[Any], text: sa.BindParameter[str], dialect: str) -> sa.ColumnElement[bool]:
    if dialect == "postgresql":
        each = sa.func.jsonb_array_elements_text(sa.cast(text, postgresql.JSONB)).table_valued(
            sa.column("value", sa.Text)
        )
        # An array, made once: whatever the planner believes, it looks the values up and joins nothing.
        return column == sa.any_(
            sa.func.array(sa.select(sa.cast(each.c.value, column.type)).scalar_subquery())
        )
    each = sa.func.json_each(text).table_valued(sa.column("value", column.type))
    return column.in_(sa.select(each.c.value))
