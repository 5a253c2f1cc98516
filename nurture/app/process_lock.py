"""Allow one `nurture up` per SQLite file: a second one would run a second worker on it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nurture.domain.errors import SettingsError
from nurture.runtime.settings import Settings


@contextmanager
def hold_installation_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock of the SQLite file; the operating system releases it however the process ends.

    Raises SettingsError when another process holds it. PostgreSQL needs no lock: it may have many workers.
    """
    name = sa.make_url(settings.database_url).database if settings.embedded else None
    if not name or name == ":memory:":
        yield
        return
    path = Path(f"{name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another `nurture up` is running on {name}; stop it, or set NURTURE_DATABASE_URL to another file"
            raise SettingsError(message) from error
        yield
