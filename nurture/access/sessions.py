"""Who holds a transaction open: what died since it began stays in every table and index, and claiming reads over it."""

from dataclasses import dataclass

import sqlalchemy as sa

from nurture.domain.instant import SECOND
from nurture.runtime.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the database server with a transaction that is not over."""

    seconds: float
    # As the server knows it; the process to end with `pg_terminate_backend`.
    pid: int
    # What it calls itself, and what it is doing.
    name: str
    state: str


_OLDEST = sa.text(
    "SELECT (extract(epoch FROM xact_start) * 1000000)::bigint AS began_at, pid, application_name AS name, "
    "coalesce(state, '') AS state FROM pg_stat_activity WHERE datname = current_database() "
    "AND xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1"
)


def oldest_transaction(connection: sa.Connection) -> Session | None:
    """Return the session whose transaction began first, of this database, without our own.

    None: there is none, or this is SQLite, where nobody can ask. Sessions of other roles are seen only by a role with
    `pg_read_all_stats`.
    """
    if connection.dialect.name != "postgresql":
        return None
    row = connection.execute(_OLDEST).one_or_none()
    if row is None:
        return None
    # Of sessions the true age is told, also where business lives in virtual time.
    age = SystemClock().lease_now(connection) - row.began_at
    return Session(age / SECOND, row.pid, row.name, row.state)
