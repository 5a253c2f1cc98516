"""Real backups: a copy of the SQLite file, a copy of a PostgreSQL database, `pg_dump` and `pg_restore`."""

import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Literal

from nurture.database.engine import Database, open_database
from tests.rig.postgres import Postgres, _candidates

Kind = Literal["sqlite file", "postgresql copy", "postgresql dump"]


class Backup:
    """One backup of a database, which can be put back later."""

    def __init__(self, kind: Kind, url: str, folder: Path, postgres: Postgres | None) -> None:
        """Take it now; a copy ends the other sessions on the database."""
        self._kind = kind
        self._url = url
        self._file = folder / "backup"
        self._postgres = postgres
        self._name = ""
        if kind == "sqlite file":
            source = sqlite3.connect(url.removeprefix("sqlite:///"))
            with sqlite3.connect(self._file) as copy:
                source.backup(copy)
            copy.close()
            source.close()
        elif kind == "postgresql copy":
            assert postgres
            name = url.rpartition("/")[2]
            postgres.end_sessions(name)
            self._name = postgres.create(template=name)
        else:
            self._run("pg_dump", "--format=custom", f"--file={self._file}", url)

    def restored(self) -> Database:
        """Restore it and open it; the later state of the database is gone."""
        if self._kind == "sqlite file":
            path = self._url.removeprefix("sqlite:///")
            for rest in (f"{path}-wal", f"{path}-shm"):
                Path(rest).unlink(missing_ok=True)
            shutil.copyfile(self._file, path)
            return open_database(self._url)
        assert self._postgres
        if self._kind == "postgresql copy":
            return open_database(self._postgres.url(self._postgres.create(template=self._name)))
        url = self._postgres.url(self._postgres.create())
        self._run("pg_restore", "--no-owner", f"--dbname={url}", str(self._file))
        return open_database(url)

    def _run(self, program: str, *words: str) -> None:
        path = next(folder / program for folder in _candidates() if (folder / program).exists())
        subprocess.run([path, *words], check=True, capture_output=True)
