"""SQL elements that SQLAlchemy lacks: an expression with a form for each database, and brackets it keeps."""

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
