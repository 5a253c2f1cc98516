"""Houses to break: each test its own database, with the shipped programme published once per session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nurture.app.installation import migrate
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.faults.installation import NOON, Installation, opened
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
def postgresql_installation_url(postgres: Postgres, furnished_postgresql: str) -> Iterator[str]:
    """Give the URL of a furnished PostgreSQL database."""
    with databases.postgresql_copy(postgres, furnished_postgresql) as url:
        yield url


@pytest.fixture
def sqlite_installation_url(furnished_sqlite: Path, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a furnished SQLite database."""
    with databases.sqlite_copy(furnished_sqlite, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def installation_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a furnished database, once for each kind."""
    return str(request.getfixturevalue(f"{request.param}_installation_url"))


@pytest.fixture
def installation(installation_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give an installation, once for each kind of database."""
    with opened(tmp_path, installation_url) as installation:
        yield installation


@pytest.fixture
def postgresql_installation(postgresql_installation_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give an installation on PostgreSQL."""
    with opened(tmp_path, postgresql_installation_url) as installation:
        yield installation


@pytest.fixture
def sqlite_installation(sqlite_installation_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give an installation on SQLite."""
    with opened(tmp_path, sqlite_installation_url) as installation:
        yield installation
