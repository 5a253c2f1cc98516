"""Opening PostgreSQL or SQLite so that both keep the same promises.

SQLite: WAL, synchronous FULL, every writer begins IMMEDIATE (a deferred transaction that reads, then writes,
silently loses other writers' updates), readers on a second engine that cannot write. PostgreSQL: READ
COMMITTED, locks are taken explicitly. Documents are encoded by msgspec.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from nurture.domain.errors import SettingsError, Transient
from nurture.runtime.clock import monotonic, pause

T = TypeVar("T")

#: Transactions that may be repeated whole: serialization failure, deadlock, admin shutdown, lost connection.
_REPEATABLE = {"40001", "40P01", "57P01", "57P02", "57P03", "08000", "08003", "08006", "55P03"}
_ATTEMPTS = 6
#: How long a transaction of ours may lie idle. Longer than any task may take (workers.application).
_IDLE_SECONDS_MAX = 120
#: A connection that was given back longer ago is asked whether it still lives.
_RESTED_SECONDS = 1.0
#: Hot transactions look a few hundred rows up by key. Without figures of its own (the first minutes of a table's
#: life) the planner takes a hundred ids for half of the table and reads all of it.
_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)"
    for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit")
)


def encode(value: Any) -> str:
    """Return JSON text of a plain value."""
    return msgspec.json.encode(value).decode()


decode = msgspec.json.decode


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Database:
    """One database, opened; thread-safe."""

    writer: sa.Engine
    reader: sa.Engine
    looker: sa.Engine

    @property
    def is_sqlite(self) -> bool:
        """Tell whether this is the embedded database."""
        return self.writer.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open one transaction that may write; commits at the end, rolls back on any exception."""
        with self.writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open one transaction that cannot write."""
        with self.reader.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """Give a connection for a question of one statement, such as whether anything waits.

        On PostgreSQL no transaction is opened around it, so it takes one round trip instead of three; a second
        statement would see what was committed meanwhile.
        """
        with self.looker.connect() as connection:
            yield connection

    def run(self, work: Callable[[sa.Connection], T], *, by_index: bool = False) -> T:
        """Do `work` in one writing transaction; repeat it whole when the database asks for that.

        by_index: all that is read is looked up by key, and PostgreSQL is told to use nothing but indexes.
        `work` must have no effect outside the transaction. Raises Transient when it never succeeds: the
        caller leaves the work where it was.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self.writer.begin() as connection:
                    if by_index and not self.is_sqlite:
                        connection.connection.cursor().execute(_BY_INDEX)
                    return work(connection)
            except DBAPIError as error:
                if not is_repeatable(error):
                    raise
                last = error
                pause(min(0.02 * 2**attempt, 1.0) * (0.5 + random.random()))  # noqa: S311 - jitter, no secret
            except PoolTimeout as error:
                message = "no connection was free for half a minute: more threads than connections"
                raise Transient(message) from error
        message = f"the database refused the transaction {_ATTEMPTS} times: {last.orig}"
        raise Transient(message) from last

    def shed(self) -> None:
        """Let go of what was deleted: SQLite's log is written back and emptied. Others do that by themselves.

        Where somebody is reading just now, the log stays until the next time.
        """
        if self.is_sqlite:
            connection = self.writer.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self.writer.dispose()
        self.reader.dispose()


def is_repeatable(error: DBAPIError) -> bool:
    """Tell whether the whole transaction may simply be done again."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _REPEATABLE
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, OperationalError) and "locked" in str(error.orig)
    # The server said nothing: it is away, or starting.
    return isinstance(error, OperationalError)


def open_database(url: str, *, pool_size: int = 5, keeps: bool = True) -> Database:
    """Open the database at `url` (`sqlite:///file` or `postgresql://...`). Creates no table.

    keeps: False for a SQLite file that ends with the process: what is committed need not reach the disk.
    Raises SettingsError for a URL that cannot be used; connecting happens at first use.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, _KEPT if keeps else _THROWN_AWAY)
        if parsed.get_backend_name() == "postgresql":
            return _open_postgresql(parsed, pool_size)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(_unusable(url)) from error
    raise SettingsError(_unusable(url))


def _unusable(url: str) -> str:
    scheme = url.split(":", 1)[0]
    return (
        f"NURTURE_DATABASE_URL: cannot use a {scheme!r} database; "
        "write sqlite:///nurture.db or postgresql://user:password@host/name"
    )


def _open_postgresql(url: sa.URL, pool_size: int) -> Database:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=encode,
        json_deserializer=decode,
        pool_size=pool_size,
        max_overflow=pool_size,
        # Said, not hoped for: a server may have another default.
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 10, "application_name": "nurture"},
    )
    _ask_who_rested(engine)
    if "idle_in_transaction_session_timeout" not in str(url.query.get("options", "")):
        _let_go_of_the_idle(engine)
    return Database(
        writer=engine,
        reader=engine.execution_options(postgresql_readonly=True),
        looker=engine.execution_options(isolation_level="AUTOCOMMIT"),
    )


def _let_go_of_the_idle(engine: sa.Engine) -> None:
    """Let the server end our transactions that nobody goes on with: a process that is stopped keeps its locks else."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS_MAX}s'")
        connection.commit()


def wait_briefly(connection: sa.Connection) -> None:
    """Let this transaction wait for locks at most a few seconds: who holds them may be stopped."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))


def _ask_who_rested(engine: sa.Engine) -> None:
    """Ask a connection that was not used for a while whether it still lives, before it is given out.

    One that was used just now is not asked: a question for every transaction is a tenth of what a small one takes.
    """

    @event.listens_for(engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def _is_called(connection: Any, record: Any, _proxy: Any) -> None:
        if monotonic() - record.info.get("rests_since", inf) > _RESTED_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                # The pool throws it away and gives another one.
                raise DisconnectionError from error


#: What is deleted is overwritten: an erased person's address is not to be found in the file either.
_KEPT = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
#: Nobody reads the file after the process has ended, so nothing waits for the disk.
_THROWN_AWAY = ("journal_mode = WAL", "synchronous = OFF")


def _open_sqlite(url: sa.URL, keeping: tuple[str, ...]) -> Database:
    def engine(begin: str, pragmas: tuple[str, ...]) -> sa.Engine:
        made = sa.create_engine(
            url, json_serializer=encode, json_deserializer=decode, connect_args={"timeout": 30.0}
        )

        @event.listens_for(made, "connect")
        def _connect(connection: Any, _record: Any) -> None:
            # The driver would begin DEFERRED by itself, and late; the begin event below does it instead.
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(made, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        return made

    shared = ("busy_timeout = 30000", "foreign_keys = ON", "cache_size = -32000", "temp_store = MEMORY")
    writer = engine("BEGIN IMMEDIATE", (*keeping, *shared))
    reader = engine("BEGIN", (*shared, "query_only = ON"))
    return Database(writer=writer, reader=reader, looker=reader)
