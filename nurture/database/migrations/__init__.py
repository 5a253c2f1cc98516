"""The database's shape over time: from any earlier version to this one, forward and back.

Everything happens in one transaction on both databases, so a migration that fails changes nothing; on
PostgreSQL a lock keeps two processes from migrating at once (SQLite has one writer anyway). Expand first,
contract a version later: processes of the version before may still be running.
"""

from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.domain.errors import SettingsError

#: The revision that this version of the program works with: the newest file in `versions`.
HEAD: Final = max(path.name[:4] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))
#: Any constant will do, as long as nothing else in the database locks it.
_LOCK = 6_878_842_001


def upgrade(database: Database, revision: str = "head") -> str:
    """Bring the database to `revision` and return it; creates everything in an empty one. Safe to repeat."""
    return _run(database, "upgrade", revision)


def downgrade(database: Database, revision: str) -> str:
    """Bring the database back to `revision` (`base`: empty, `-1`: one step) and return where it stands."""
    return _run(database, "downgrade", revision)


def current(connection: sa.Connection) -> str:
    """Return the revision the database stands at; empty text for a database without our tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""


def require_current(database: Database, *, or_newer: bool = False) -> None:
    """Return quietly when the database has this version's shape. Raises SettingsError saying what to run.

    or_newer: the process goes on with the work of one that began before a newer version migrated the database, which
    only adds to it.
    """
    name = sa.make_url(str(database.writer.url)).database
    if database.is_sqlite and name and name != ":memory:" and not Path(name).exists():
        message = (
            f"there is no database {name} here; start with `nurture up`, or `nurture migrate` to make it"
        )
        raise SettingsError(message)
    with database.read() as connection:
        found = current(connection)
    if found > HEAD:
        if or_newer:
            return
        raise SettingsError(
            f"the database is at revision {found} of a newer version; this one knows {HEAD}, and its processes that "
            "run go on until they end: start the newer version"
        )
    if found != HEAD:
        state = f"is at revision {found}" if found else "has no tables yet"
        message = f"the database {state}, this version needs {HEAD}; run `nurture migrate`"
        raise SettingsError(message)


def _run(database: Database, step: Literal["upgrade", "downgrade"], revision: str) -> str:
    # Loading Alembic takes a quarter of a second, which commands that migrate nothing are spared.
    from alembic import command  # noqa: PLC0415

    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = _config()
        config.attributes["connection"] = connection
        getattr(command, step)(config, revision)
        return current(connection)


def _config() -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
