"""Open PostgreSQL or SQLite with the same guarantees for transactions.

SQLite: WAL, synchronous FULL, BEGIN IMMEDIATE for every writer (a deferred transaction that reads and then writes
silently loses other writers' updates), readers on a second engine that cannot write. PostgreSQL: READ COMMITTED with
explicit locks. JSON documents are encoded by msgspec.
"""

import random
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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

from nurture.database.notifications import NoNotifier, Notification, Notifier, collect_notes
from nurture.domain.errors import SettingsError, Transient
from nurture.runtime.clock import monotonic, pause
from nurture.runtime.failpoints import failpoint
from nurture.runtime.log import get_logger

T = TypeVar("T")
_log = get_logger("database")

#: SQLSTATEs after which a transaction is repeated: serialization failure, deadlock, shutdown, lost connection.
_REPEATABLE = {"40001", "40P01", "57P01", "57P02", "57P03", "08000", "08003", "08006", "55P03"}
_ATTEMPTS = 6
#: idle_in_transaction_session_timeout in seconds. Longer than any task may take (workers.application).
_IDLE_SECONDS_MAX = 120
#: A connection that lay in the pool for longer is pinged before use.
_IDLE_PING_SECONDS = 1.0
#: Hot transactions look a few hundred rows up by key. Before the first ANALYZE of a new table the planner takes a
#: hundred ids for half of the table and reads all of it, so these plans are switched off.
_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)"
    for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit")
)

#: Where a writing connection carries `Database.hooks`.
HOOKS_KEY = "nurture.hooks"


def encode(value: Any) -> str:
    """Return JSON text of a plain value."""
    return msgspec.json.encode(value).decode()


decode = msgspec.json.decode


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Database:
    """An open database; thread-safe."""

    writer: sa.Engine
    reader: sa.Engine
    looker: sa.Engine
    #: Told after each commit which queues the transaction noted (`database.notifications`).
    notifier: Notifier = field(default_factory=NoNotifier)
    #: Event -> the names of the addresses that it is posted to (`feedback.hooks`).
    hooks: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        """Return whether this is the embedded database."""
        return self.writer.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open one transaction that may write; commits at the end and notifies, rolls back on any exception."""
        with self.writer.begin() as connection, collect_notes(connection) as notes:
            connection.info[HOOKS_KEY] = self.hooks
            yield connection
        self._notify(notes)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open one transaction that cannot write."""
        with self.reader.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """Open an autocommit connection for one reading statement, such as whether the inbox has rows.

        On PostgreSQL that takes one round trip instead of three. A second statement would have a newer snapshot.
        """
        with self.looker.connect() as connection:
            yield connection

    def run(
        self,
        work: Callable[[sa.Connection], T],
        *,
        by_index: bool = False,
        on_commit: Callable[[], None] | None = None,
    ) -> T:
        """Do `work` in one writing transaction and notify of what it noted; repeat it whole when the database asks.

        by_index: all that is read is looked up by key, and PostgreSQL is told to use nothing but indexes.
        on_commit: called once after the commit, before anybody is notified.
        `work` must have no effect outside the transaction. Raises Transient when it never succeeds: the
        caller leaves the work where it was.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self.writer.begin() as connection, collect_notes(connection) as notes:
                    connection.info[HOOKS_KEY] = self.hooks
                    if by_index and not self.is_sqlite:
                        connection.connection.cursor().execute(_BY_INDEX)
                    result = work(connection)
            except DBAPIError as error:
                if not is_repeatable(error):
                    raise
                last = error
                pause(min(0.02 * 2**attempt, 1.0) * (0.5 + random.random()))  # noqa: S311 - jitter, no secret
            except PoolTimeout as error:
                message = "no connection was free for half a minute: more threads than connections"
                raise Transient(message) from error
            else:
                if on_commit is not None:
                    on_commit()
                self._notify(notes)
                return result
        message = f"the database refused the transaction {_ATTEMPTS} times: {last.orig}"
        raise Transient(message) from last

    def _notify(self, notes: Collection[Notification]) -> None:
        if not notes:
            return
        failpoint("notify.before")
        try:
            self.notifier.notify(notes)
        except Exception:  # noqa: BLE001 - the work is committed, and workers find it by themselves
            _log.exception("workers were not notified; they find the work by looking")

    def shed(self) -> None:
        """Checkpoint and truncate SQLite's write-ahead log, so that deleted data leaves the disk.

        While another connection reads, the log stays until the next call. PostgreSQL needs no call.
        """
        if self.is_sqlite:
            connection = self.writer.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def reopen(self) -> "Database":
        """Return the same database with connections of its own, for a forked process; it notifies nobody."""
        return open_database(self.writer.url.render_as_string(hide_password=False), pool_size=1)

    def close(self) -> None:
        """Close all connections."""
        self.writer.dispose()
        self.reader.dispose()


def is_repeatable(error: DBAPIError) -> bool:
    """Return whether the whole transaction may be repeated."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _REPEATABLE
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, OperationalError) and "locked" in str(error.orig)
    # No SQLSTATE: the server is away or starting.
    return isinstance(error, OperationalError)


def open_database(
    url: str, *, pool_size: int = 5, keeps: bool = True, notifier: Notifier | None = None
) -> Database:
    """Open the database at `url` (`sqlite:///file` or `postgresql://...`). Creates no table.

    keeps: False for a temporary SQLite file, whose commits need not reach the disk.
    notifier: told of every queue that a committed transaction noted; None: nobody is.
    Raises SettingsError for a URL that cannot be used; connecting happens at first use.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, _DURABLE if keeps else _TEMPORARY, notifier or NoNotifier())
        if parsed.get_backend_name() == "postgresql":
            return _open_postgresql(parsed, pool_size, notifier or NoNotifier())
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(_unusable(url)) from error
    raise SettingsError(_unusable(url))


def _unusable(url: str) -> str:
    scheme = url.split(":", 1)[0]
    return (
        f"NURTURE_DATABASE_URL: cannot use a {scheme!r} database; "
        "write sqlite:///nurture.db or postgresql://user:password@host/name"
    )


def _open_postgresql(url: sa.URL, pool_size: int, notifier: Notifier) -> Database:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=encode,
        json_deserializer=decode,
        pool_size=pool_size,
        max_overflow=pool_size,
        # A server may have another default.
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 10, "application_name": "nurture"},
    )
    _ping_idle_connections(engine)
    if "idle_in_transaction_session_timeout" not in str(url.query.get("options", "")):
        _end_idle_transactions(engine)
    return Database(
        writer=engine,
        reader=engine.execution_options(postgresql_readonly=True),
        looker=engine.execution_options(isolation_level="AUTOCOMMIT"),
        notifier=notifier,
    )


def _end_idle_transactions(engine: sa.Engine) -> None:
    """Let the server end idle transactions; a stopped process would otherwise keep its locks."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS_MAX}s'")
        connection.commit()


def limit_lock_wait(connection: sa.Connection) -> None:
    """Set lock_timeout to two seconds in this transaction, because a stopped process may hold the lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))


def _ping_idle_connections(engine: sa.Engine) -> None:
    """Ping a connection before use when it lay in the pool for more than a second.

    A ping before every transaction (`pool_pre_ping`) costs a tenth of a small one.
    """

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if monotonic() - record.info.get("idle_since", inf) > _IDLE_PING_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                # The pool discards the connection and opens another.
                raise DisconnectionError from error


#: secure_delete overwrites deleted rows, so an erased person's address leaves the file too.
_DURABLE = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
#: The file ends with the process, so no commit waits for the disk.
_TEMPORARY = ("journal_mode = WAL", "synchronous = OFF")


def _open_sqlite(url: sa.URL, durability: tuple[str, ...], notifier: Notifier) -> Database:
    def engine(begin: str, pragmas: tuple[str, ...], **pool: Any) -> sa.Engine:
        opened = sa.create_engine(
            url, json_serializer=encode, json_deserializer=decode, connect_args={"timeout": 30.0}, **pool
        )

        @event.listens_for(opened, "connect")
        def _connect(connection: Any, _record: Any) -> None:
            # The driver would begin DEFERRED, and only before the first write; the begin event below replaces that.
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(opened, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        return opened

    shared = ("busy_timeout = 30000", "foreign_keys = ON", "temp_store = MEMORY")
    # SQLite has one writer at a time. Threads that share one connection wait for it in a queue, which wakes them at
    # once; SQLite itself would sleep between its tries. And each connection holds pages of its own: 32 MB here.
    writer = engine(
        "BEGIN IMMEDIATE", (*durability, *shared, "cache_size = -32000"), pool_size=1, max_overflow=0
    )
    reader = engine("BEGIN", (*shared, "cache_size = -8000", "query_only = ON"), pool_use_lifo=True)
    return Database(writer=writer, reader=reader, looker=reader, notifier=notifier)
