"""Empty databases for tests, lent and emptied again: a new connection would have to prepare every statement anew."""

import sqlite3
import tempfile
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from nurture.database import migrations
from nurture.database.engine import Database, open_database


class DatabasePool:
    """SQLite databases of this version in a folder that is deleted when the process ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nurture-test-")
        self._template = Path(self._folder.name) / "template.db"
        self._free: list[tuple[Path, Database]] = []
        self._lent: dict[int, Path] = {}
        self._count = 0
        database = open_database(f"sqlite:///{self._template}", keeps=False)
        migrations.upgrade(database)
        database.close()

    def lend(self) -> Database:
        """Return an empty database."""
        if self._free:
            path, database = self._free.pop()
        else:
            self._count += 1
            path = Path(self._folder.name) / f"{self._count}.db"
            database = open_database(f"sqlite:///{path}", keeps=False)
        with closing(sqlite3.connect(self._template)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
        self._lent[id(database)] = path
        return database

    def give_back(self, database: Database) -> None:
        """Take a database back for the next test."""
        self._free.append((self._lent.pop(id(database)), database))


@lru_cache(maxsize=1)
def database_pool() -> DatabasePool:
    """Return the databases of this process."""
    return DatabasePool()
