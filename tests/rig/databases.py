"""A fresh, complete database for each test, cheaply: copies of a template that was made once."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nurture.database import migrations
from nurture.database.engine import Database, open_database
from tests.rig.postgres import Postgres


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


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open the database at `url` for as long as the block runs."""
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()
