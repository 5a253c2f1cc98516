"""Fixtures of all tests: real databases, Redis and an SMTP server, each private to the test session.

database              an opened, complete `Database`; the test runs once on SQLite and once on PostgreSQL
database_url          its URL, for tests that start a process
postgresql_database   PostgreSQL only        sqlite_database   SQLite only
redis_url             an emptied Redis       smtp_sink         a mail server that keeps what it takes
"""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import freezegun
import pytest
import redis

from nurture.database.engine import Database
from tests.rig import databases
from tests.rig.loopback import share_tls_context, stay_on_loopback
from tests.rig.postgres import Postgres, running_postgres
from tests.rig.redis import running_redis
from tests.rig.smtp import SmtpSink, running_smtp_sink
from tests.rig.statements import share_compiled_statements

# Servers, brokers and pools wait by the monotonic clock; frozen they would wait for ever.
freezegun.configure(
    extend_ignore_list=[
        "apscheduler",
        "billiard",
        "celery",
        "kombu",
        "psycopg",
        "redis",
        "sqlalchemy",
        "tests.rig",
    ]
)


_TESTS = Path(__file__).parent
#: Folders whose tests start processes or live through weeks.
_LONG_FIRST = {"faults", "production", "scenarios", "simulation", "workers"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one number choose everything that the fault scenarios draw."""
    parser.addoption("--seed", type=int, default=7, help="what fault scenarios draw from (default 7)")


def pytest_configure() -> None:
    """Keep the whole session on this machine, and make once what every test needs."""
    stay_on_loopback()
    share_tls_context()
    share_compiled_statements()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test on one kind of database where its room writes no SQL of its own; `make databases` runs the other.

    Long tests come first, so that no worker begins one when the others have nothing left to do.
    """
    for item in items:
        if databases.is_left_to_make_databases(item):
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.databases)
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in _LONG_FIRST)


def pytest_collection_finish() -> None:
    """Share what the tests' modules would do again for every test, and keep what stays out of garbage collection."""
    # A run of few files imports none of these for it.
    if "fastapi" in sys.modules:
        from tests.rig.endpoints import share_analysed_endpoints

        share_analysed_endpoints()
    if "nurture.rendering.sandbox" in sys.modules:
        from tests.rig.templates import share_compiled_templates

        share_compiled_templates()
    if "nurture.playbook.loaded_playbook" in sys.modules:
        from tests.rig.playbooks import share_checked_playbooks

        share_checked_playbooks()
    if "nurture.app.accounts.passwords" in sys.modules:
        from tests.rig.passwords import share_hashed_passwords

        share_hashed_passwords()
    # The collector went through all modules again and again: a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return the number that a scenario draws from, and say how to repeat it when it fails."""
    number = int(request.config.getoption("--seed"))
    # Shown with a failure, and only then.
    sys.stdout.write(f"repeat with: python -m pytest -m '' --seed {number} '{request.node.nodeid}'\n")
    return number


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Give the PostgreSQL server of this session."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_template(postgres: Postgres) -> str:
    """Return the database that each test's own is copied from."""
    return databases.postgresql_template(postgres)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that each test's own is copied from."""
    return databases.sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh, complete database, once for each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a fresh, complete SQLite database."""
    with databases.sqlite_copy(sqlite_template, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_pool(postgres: Postgres, postgresql_template: str) -> Iterator[databases.PostgresPool]:
    """Give the databases that tests use one after another."""
    pool = databases.PostgresPool(postgres, postgresql_template)
    yield pool
    pool.close()


@pytest.fixture
def postgresql_url(postgresql_pool: databases.PostgresPool) -> Iterator[str]:
    """Give the URL of a PostgreSQL database that holds what a new one holds."""
    with postgresql_pool.lend() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give a fresh, complete, opened database, once for each kind."""
    with databases.opened(database_url) as database:
        yield database


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """Give a fresh, complete, opened SQLite database."""
    with databases.opened(sqlite_url) as database:
        yield database


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    """Give a fresh, complete, opened PostgreSQL database."""
    with databases.opened(postgresql_url) as database:
        yield database


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Give the URL of the Redis server of this session."""
    with running_redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Return the URL of an emptied Redis."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def smtp_sink(tmp_path: Path) -> Iterator[SmtpSink]:
    """Give a mail server that takes everything."""
    folder = tmp_path / "taken"
    folder.mkdir()
    with running_smtp_sink(folder) as sink:
        yield sink
