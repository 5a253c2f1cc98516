"""Find the oldest open transaction of the database server.

Rows deleted or updated since it began stay in every table and index, which slows claiming down.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from nurture.domain.instant import SECOND
from nurture.runtime.clock import SystemClock


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A session of the database server with an open transaction."""

    seconds: float
    # The server's process id, for `pg_terminate_backend`.
    pid: int
    # application_name and state of pg_stat_activity.
    name: str
    state: str


_OLDEST = sa.text(
    "SELECT (extract(epoch FROM xact_start) * 1000000)::bigint AS began_at, pid, application_name AS name, "
    "coalesce(state, '') AS state FROM pg_stat_activity WHERE datname = current_database() "
    "AND xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1"
)


def find_oldest_transaction(connection: sa.Connection) -> OpenTransaction | None:
    """Return the oldest open transaction of this database in another session, or None.

    SQLite cannot tell, so None. A role sees sessions of other roles only with `pg_read_all_stats`.
    """
    if connection.dialect.name != "postgresql":
        return None
    row = connection.execute(_OLDEST).one_or_none()
    if row is None:
        return None
    # The real age, also on a virtual clock.
    age = SystemClock().lease_now(connection) - row.began_at
    return OpenTransaction(age / SECOND, row.pid, row.name, row.state)
