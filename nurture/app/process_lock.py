"""One `nurture up` per database file: a second one would be a second writer with its own worker."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nurture.domain.errors import SettingsError
from nurture.runtime.settings import Settings


@contextmanager
def hold_installation_lock(settings: Settings) -> Iterator[None]:
    """Hold the installation for this process; the lock goes with the process, however it ends.

    Raises SettingsError when another process holds it. PostgreSQL needs none: workers may be many there.
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
            message = (
                f"another `nurture up` runs on {name}; stop it, or set NURTURE_DATABASE_URL to another file"
            )
            raise SettingsError(message) from error
        yield
