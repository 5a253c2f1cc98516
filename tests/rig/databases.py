"""A complete database for each test, cheaply: copies of a template, and PostgreSQL databases that are emptied again."""

import contextlib
import json
import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from nurture.database import migrations
from nurture.database.engine import Database, open_database
from tests.rig import sessions
from tests.rig.postgres import Postgres

_TESTS = Path(__file__).parents[1]
#: Rooms whose tests run on both kinds of database every time.
_BOTH = {"consent", "contacts", "database", "delivery", "health", "journey", "ledger", "measurement"}


def is_left_to_make_databases(item: pytest.Item) -> bool:
    """Tell whether the test is the half of a pair that `make databases` runs; its name chooses which half that is."""
    call = getattr(item, "callspec", None)
    kind = call.params.get("database_url") if call is not None else None
    room = item.path.relative_to(_TESTS).parent.as_posix()
    is_pair = all(mark.args[0] != "database_url" for mark in item.iter_markers("parametrize"))
    if kind is None or room in _BOTH or not is_pair:
        return False
    name = item.nodeid.replace(kind, "")
    return bool(kind != ("sqlite", "postgresql")[zlib.crc32(name.encode()) % 2])


def sqlite_template(folder: Path) -> Path:
    """Return a built SQLite file to copy."""
    path = folder / "template.db"
    database = open_database(f"sqlite:///{path}")
    migrations.upgrade(database)
    database.close()
    into_one_file(path)
    return path


def into_one_file(path: Path) -> None:
    """Write the write-ahead log of a closed database into its file, so that this file is all of it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def postgresql_template(postgres: Postgres) -> str:
    """Return the name of a built PostgreSQL database to copy."""
    name = postgres.create()
    database = open_database(postgres.url(name))
    migrations.upgrade(database)
    database.close()
    return name


@contextmanager
def sqlite_copy(template: Path, folder: Path) -> Iterator[str]:
    """Give the URL of a copy of the SQLite template."""
    path = folder / "nurture.db"
    shutil.copyfile(template, path)
    yield f"sqlite:///{path}"


@contextmanager
def postgresql_copy(postgres: Postgres, template: str) -> Iterator[str]:
    """Give the URL of a copy of the PostgreSQL template; dropped afterwards."""
    name = postgres.create(template=template)
    try:
        yield postgres.url(name)
    finally:
        postgres.drop(name)


#: A database is emptied this often before a new copy takes its place: deleted rows are never vacuumed here.
_USES_MAX = 40
#: Changes whenever a test changes or renames a table, a constraint, a trigger or a function.
_SHAPE = " || '/' || ".join(
    [
        *(
            f"(SELECT count(*) || '-' || coalesce(max(xmin::text::bigint), 0) FROM {catalog})"
            for catalog in ("pg_attribute", "pg_constraint", "pg_trigger", "pg_proc", "pg_db_role_setting")
        ),
        "(SELECT md5(string_agg(relname, ',' ORDER BY relname)) FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace)",
    ]
)
_OTHERS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_RESTART_SEQUENCES = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)"
    " FROM pg_sequences WHERE last_value IS NOT NULL"
)


@dataclass(slots=True)
class _Lent:
    """One PostgreSQL database of the pool and the connection that empties it."""

    name: str
    connection: psycopg.Connection
    shape: str
    # Asks which tables hold any row; built once, because the text of seventy tables is long.
    asks_filled: bytes
    # Table -> its rows in the template, as JSON.
    seeds: Mapping[str, str]
    uses: int = 0

    def restore(self) -> bool:
        """Bring back the template's rows; False when the database must be replaced instead."""
        self.uses += 1
        if self.uses >= _USES_MAX:
            return False
        self._end_other_sessions()
        if self.connection.execute(f"SELECT {_SHAPE}").fetchone() != (self.shape,):
            return False
        tables = set(_filled(self.connection, self.asks_filled)) | set(self.seeds)
        for table in tables:
            self.connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table, rows in self.seeds.items():
            _insert(self.connection, table, rows)
        self.connection.execute(_RESTART_SEQUENCES)
        return True

    def _end_other_sessions(self) -> None:
        alive = {pid for (pid,) in self.connection.execute(_OTHERS)}
        for pid in alive - sessions.idle_sessions(self.name, alive):
            self.connection.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])


@dataclass(slots=True)
class PostgresPool:
    """PostgreSQL databases that look to each test like a new copy of the template.

    Copying and first opening a database takes ten times as long as emptying one. A database whose tables or
    triggers a test changed is replaced.
    """

    postgres: Postgres
    template: str
    _idle: list[_Lent] = field(default_factory=list)

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Give the URL of a database that holds what the template holds."""
        lent = self._idle.pop() if self._idle else self._create()
        try:
            yield self.postgres.url(lent.name)
        finally:
            kept = False
            with contextlib.suppress(psycopg.Error):
                kept = lent.restore()
            if kept:
                self._idle.append(lent)
            else:
                self._drop(lent)

    def close(self) -> None:
        """Drop what is idle."""
        while self._idle:
            self._drop(self._idle.pop())

    def _create(self) -> _Lent:
        name = self.postgres.create(template=self.template)
        sessions.keep_sessions_on(name)
        connection = psycopg.connect(self.postgres.url(name), autocommit=True)
        # Rows go in any order of foreign keys, and triggers that forbid a DELETE are silent.
        connection.execute("SET session_replication_role = replica")
        shape = connection.execute(f"SELECT {_SHAPE}").fetchone()
        assert shape
        asks_filled = _ask_filled(connection)
        seeds = {table: _rows(connection, table) for table in _filled(connection, asks_filled)}
        return _Lent(name, connection, shape[0], asks_filled, seeds)

    def _drop(self, lent: _Lent) -> None:
        sessions.end_sessions_on(lent.name)
        lent.connection.close()
        self.postgres.drop(lent.name)


def _ask_filled(connection: psycopg.Connection) -> bytes:
    """Return the query for the tables that hold any row."""
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    asked = sql.SQL(" UNION ALL ").join(
        sql.SQL("(SELECT {} FROM {} LIMIT 1)").format(sql.Literal(name), sql.Identifier(name))
        for (name,) in names
    )
    return asked.as_bytes(connection)


def _filled(connection: psycopg.Connection, asked: bytes) -> list[str]:
    return [name for (name,) in connection.execute(asked, prepare=True)]


def _rows(connection: psycopg.Connection, table: str) -> str:
    query = sql.SQL("SELECT coalesce(json_agg(r), '[]') FROM {} r").format(sql.Identifier(table))
    found: Any = connection.execute(query).fetchone()
    return json.dumps(found[0])


def _insert(connection: psycopg.Connection, table: str, rows: str) -> None:
    query = sql.SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, {1})")
    connection.execute(query.format(sql.Identifier(table), sql.Literal(rows)))


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open the database at `url` for as long as the block runs; SQLite does not wait for the disk.

    Tests of durability open theirs with `open_database`, or through the product's own processes.
    """
    database = open_database(url)
    if database.is_sqlite:
        sa.event.listen(database.writer, "connect", _do_not_wait_for_the_disk)
    try:
        yield database
    finally:
        database.close()


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
