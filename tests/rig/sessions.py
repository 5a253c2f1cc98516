"""Keep PostgreSQL sessions between tests: a new one reads the server's catalogue anew, which took a third of a test.

Only sessions on databases that tests use one after another (`keep_sessions_on`) are kept. Each is reset before another
test gets it: settings, locks, prepared statements and temporary tables are gone.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import Dialect

#: How a session was opened, and by which process: a fork has only a copy, which it must not use.
_Key = tuple[tuple[str, str], ...]
#: Name of a database -> its sessions that nobody uses, and how each was opened.
_idle: dict[str, list[tuple[_Key, "psycopg.Connection[Any]"]]] = {}
#: Sessions that are kept when they are closed.
_opened: dict[int, tuple[str, _Key]] = {}


def keep_sessions_on(name: str) -> None:
    """Keep sessions on this database when they are closed, from now on."""
    _idle[name] = []


def end_sessions_on(name: str) -> None:
    """Close what is kept, and keep nothing from now on."""
    close_idle_sessions(name)
    _idle.pop(name, None)


def close_idle_sessions(name: str) -> None:
    """Close what is kept, because the database is about to be copied."""
    while idle := _idle.get(name):
        idle.pop()[1].close()


def idle_sessions(name: str, alive: set[int]) -> set[int]:
    """Return the process ids of kept sessions; close those that are not `alive`: the server ended them."""
    for pair in list(_idle[name]):
        if pair[1].info.backend_pid not in alive:
            pair[1].close()
            _idle[name].remove(pair)
    return {connection.info.backend_pid for _, connection in _idle[name]}


def keeping_methods(kind: type[Dialect]) -> dict[str, Callable[..., Any]]:
    """Return the methods with which a dialect of psycopg keeps sessions."""

    def connect(dialect: Dialect, *given: Any, **named: Any) -> Any:
        name, key = str(named.get("dbname")), _key(dialect, named)
        kept = next((pair for pair in _idle.get(name, ()) if pair[0] == key), None)
        if kept is not None:
            _idle[name].remove(kept)
        connection = kept[1] if kept is not None else kind.connect(dialect, *given, **named)
        if name in _idle and not given:
            _opened[id(connection)] = (name, key)
        return connection

    def do_close(_dialect: Dialect, connection: Any) -> None:
        name, key = _opened.pop(id(connection), ("", ()))
        if name in _idle and ("process", str(os.getpid())) in key and _reset(connection):
            _idle[name].append((key, connection))
        else:
            connection.close()

    def do_terminate(_dialect: Dialect, connection: Any) -> None:
        # Something went wrong in this session.
        _opened.pop(id(connection), None)
        connection.close()

    return {"connect": connect, "do_close": do_close, "do_terminate": do_terminate}


def _key(dialect: Any, named: Mapping[str, Any]) -> _Key:
    # Each dialect has a map of adapters of its own; they differ in how JSON is read and written.
    adapters = dialect._json_serializer, dialect._json_deserializer
    given = {**named, "context": adapters, "process": os.getpid()}
    return tuple(sorted((name, str(value)) for name, value in given.items()))


def _reset(connection: "psycopg.Connection[Any]") -> bool:
    """Make the session as good as new; False when that is impossible."""
    if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
        return False
    with contextlib.suppress(psycopg.Error):
        connection.isolation_level = connection.read_only = connection.deferrable = None
        connection.autocommit = True
        connection.execute("DISCARD ALL")
        connection.autocommit = False
        # psycopg overlooks a second DISCARD ALL, and would name statements that are gone.
        connection._prepared.clear()
        # SQLAlchemy adds one at each connect.
        connection._notice_handlers.clear()
        return True
    return False
