"""What SQLAlchemy does not write by itself: an expression for each database, and brackets that stay."""

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
    """Return an expression that is `postgresql` there and `sqlite` here; both of one type."""
    made = Either(postgresql, sqlite)
    made.type = postgresql.type
    return made


class Bracketed(FunctionElement[Any]):
    """Compiles to its expression in brackets."""

    name = "bracketed"
    inherit_cache = True


def bracketed(expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression in brackets: without them `NOT x IS NULL` negates the wrong thing."""
    made = Bracketed(expression)
    made.type = expression.type
    return made


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
