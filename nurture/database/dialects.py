"""SQL elements that SQLAlchemy lacks: a form for each database, exact numbers, and brackets that stay."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Either(FunctionElement[Any]):
    """Compiles to its first expression on PostgreSQL and to its second on SQLite."""

    name = "either"
    inherit_cache = True


def either(*, postgresql: sa.ColumnElement[Any], sqlite: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an expression that compiles to `postgresql` or `sqlite`, by the database; both have one type."""
    element = Either(postgresql, sqlite)
    element.type = postgresql.type
    return element


class Bracketed(FunctionElement[Any]):
    """Compiles to its expression in brackets."""

    name = "bracketed"
    inherit_cache = True


def bracketed(expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression in brackets: without them, NOT in `NOT x IS NULL` negates the whole test."""
    element = Bracketed(expression)
    element.type = expression.type
    return element


def exact_number(value: int) -> sa.ColumnElement[Any]:
    """Return a number: exact at any size on PostgreSQL, exact within 64 bits on SQLite and a float beyond."""
    plain: Any = (
        sa.literal(value, sa.BigInteger()) if abs(value) < 2**63 else sa.literal(float(value), sa.Float())
    )
    return either(postgresql=sa.literal(value, sa.Numeric()), sqlite=plain)


def exact(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a number in the type that PostgreSQL computes exactly; SQLite's integers are exact already."""
    return either(postgresql=sa.cast(value, sa.Numeric()), sqlite=value)


def extreme_of(values: Sequence[sa.ColumnElement[Any]], *, latest: bool) -> sa.ColumnElement[Any]:
    """Return the greatest of the numbers (latest), or the least."""
    pick = (sa.func.greatest, sa.func.max) if latest else (sa.func.least, sa.func.min)
    if len(values) == 1:  # max() with one argument is the aggregate on SQLite
        return values[0]
    return either(
        postgresql=pick[0](*values, type_=sa.Numeric()),
        sqlite=pick[1](*values, type_=sa.Numeric()),
    )


@compiles(Bracketed)
def _bracketed(element: Bracketed, compiler: SQLCompiler, **keywords: Any) -> str:
    (expression,) = element.clauses
    return f"({compiler.process(expression, **keywords)})"


@compiles(Either, "postgresql")
def _postgresql(element: Either, compiler: SQLCompiler, **keywords: Any) -> str:
    postgresql, _ = element.clauses
    return f"({compiler.process(postgresql, **keywords)})"


@compiles(Either, "sqlite")
def _sqlite(element: Either, compiler: SQLCompiler, **keywords: Any) -> str:
    _, sqlite = element.clauses
    return f"({compiler.process(sqlite, **keywords)})"
