"""Compile each SQL statement once a session: every test opens databases of its own, but all speak the same SQL.

SQLAlchemy keeps compiled statements by engine; compiling them anew took a third of a database test's time.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

from tests.rig.sessions import keeping_methods

#: Far more than the statements of the product, so that none is pushed out.
_STATEMENTS_MAX: Final = 10_000
_dialects: dict[type[Dialect], type[Dialect]] = {}
_compiled: dict[type[Dialect], LRUCache[Any, Any]] = {}


def share_compiled_statements() -> None:
    """Let all engines of one kind that this process makes from now on share their compiled statements."""
    make = sa.create_engine

    def create_engine(*given: Any, **named: Any) -> sa.Engine:
        engine = make(*given, **named)
        kind = type(engine.dialect)
        if kind not in _dialects:
            _dialects[kind] = _equal_by_kind(kind)
            _compiled[kind] = LRUCache(_STATEMENTS_MAX)
        # The dialect is a part of the key of a compiled statement. SQLAlchemy has no public way to share the cache.
        engine.dialect.__class__ = _dialects[kind]
        engine._compiled_cache = _compiled[kind]
        return engine

    sa.create_engine = create_engine


def _equal_by_kind(kind: type[Dialect]) -> type[Dialect]:
    """Return the dialect's type, but with all its instances equal."""
    members: dict[str, Any] = {
        "__eq__": lambda self, other: type(self) is type(other),
        "__hash__": lambda _self: hash(kind),
        # Looked up in the type itself, not in what it inherits.
        "supports_statement_cache": True,
    }
    if kind.name == "postgresql":
        members |= keeping_methods(kind)
    return type(kind.__name__, (kind,), members)
