"""Houses to break: each test its own database, with the shipped programme published once per session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nurture.app.installation import migrate
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.faults.installation import NOON, House, opened
from tests.rig import databases
from tests.rig.postgres import Postgres
from tests.workers.installation import environment


@pytest.fixture(scope="session")
def furnished_postgresql(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a database with the shipped programme."""
    name = postgres.create()
    _furnish(tmp_path_factory.mktemp("furnished"), postgres.url(name))
    return name


@pytest.fixture(scope="session")
def furnished_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the shipped programme."""
    folder = tmp_path_factory.mktemp("furnished")
    with databases.sqlite_copy(sqlite_template, folder) as url:
        _furnish(folder, url)
    databases.into_one_file(folder / "nurture.db")
    return folder / "nurture.db"


def _furnish(folder: Path, url: str) -> None:
    settings = load_settings(folder=folder, environment=environment(folder, url))
    migrate(settings, clock=ManualClock(NOON)).close()


@pytest.fixture
def postgresql_house_url(postgres: Postgres, furnished_postgresql: str) -> Iterator[str]:
    """Give the URL of a furnished PostgreSQL database."""
    with databases.postgresql_copy(postgres, furnished_postgresql) as url:
        yield url


@pytest.fixture
def sqlite_house_url(furnished_sqlite: Path, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a furnished SQLite database."""
    with databases.sqlite_copy(furnished_sqlite, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def house_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a furnished database, once for each kind."""
    return str(request.getfixturevalue(f"{request.param}_house_url"))


@pytest.fixture
def house(house_url: str, tmp_path: Path) -> Iterator[House]:
    """Give a house, once for each kind of database."""
    with opened(tmp_path, house_url) as house:
        yield house


@pytest.fixture
def postgresql_house(postgresql_house_url: str, tmp_path: Path) -> Iterator[House]:
    """Give a house on PostgreSQL."""
    with opened(tmp_path, postgresql_house_url) as house:
        yield house


@pytest.fixture
def sqlite_house(sqlite_house_url: str, tmp_path: Path) -> Iterator[House]:
    """Give a house on SQLite."""
    with opened(tmp_path, sqlite_house_url) as house:
        yield house
