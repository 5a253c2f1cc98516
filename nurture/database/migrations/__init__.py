"""The database's shape over time: from any earlier version to this one, forward and back.

Everything happens in one transaction on both databases, so a migration that fails changes nothing; on
PostgreSQL a lock keeps two processes from migrating at once (SQLite has one writer anyway). Expand first,
contract a version later: processes of the version before may still be running.
"""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nurture.database.engine import Database
from nurture.domain.errors import SettingsError

#: Any constant will do, as long as nothing else in the database locks it.
_LOCK = 6_878_842_001


def upgrade(database: Database, revision: str = "head") -> str:
    """Bring the database to `revision` and return it; creates everything in an empty one. Safe to repeat."""
    return _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> str:
    """Bring the database back to `revision` (`base`: empty, `-1`: one step) and return where it stands."""
    return _run(database, command.downgrade, revision)


def current(connection: sa.Connection) -> str:
    """Return the revision the database stands at; empty text for a database without our tables."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def head() -> str:
    """Return the revision that this version of the program works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def require_current(database: Database) -> None:
    """Return quietly when the database has this version's shape. Raises SettingsError saying what to run."""
    name = sa.make_url(str(database.writer.url)).database
    if database.is_sqlite and name and name != ":memory:" and not Path(name).exists():
        message = (
            f"there is no database {name} here; start with `nurture up`, or `nurture migrate` to make it"
        )
        raise SettingsError(message)
    with database.read() as connection:
        found = current(connection)
    if found != head():
        state = f"is at revision {found}" if found else "has no tables yet"
        message = f"the database {state}, this version needs {head()}; run `nurture migrate`"
        raise SettingsError(message)


def _run(database: Database, step: Callable[[Config, str], None], revision: str) -> str:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = _config()
        config.attributes["connection"] = connection
        step(config, revision)
        return current(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
