"""Trials: batches whose attempts are counted before they run, so that a batch that ends its process is found.

A trial is a shard's pending rows up to an id. After a trial that ended its process, a smaller trial begins inside
of it; each has more attempts than the one around it. A process that survives a trial ends it in the transaction of
the batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from nurture.contacts.inbox_queries import InboxRow
from nurture.database.bulk import Row, insert, relation
from nurture.database.schema import trials
from nurture.domain.instant import FOREVER

#: Shard -> the id of the last row tried.
Ends = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Trials:
    """All trials that have begun and not ended; hardly ever there is any."""

    # Shard -> (last row, attempts), the smallest trial first.
    by_shard: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def attempts_of(self, row: InboxRow) -> int:
        """Return how often a process has begun to apply the row and not said that it survived."""
        return max(row.attempts, self._innermost(row)[1])

    def end_of(self, row: InboxRow) -> int:
        """Return the last row of the smallest trial that the row is in, FOREVER when it is in none."""
        return self._innermost(row)[0]

    def _innermost(self, row: InboxRow) -> tuple[int, int]:
        around = (trial for trial in self.by_shard.get(row.shard, ()) if row.id <= trial[0])
        return next(around, (FOREVER, 0))


def load_trials(connection: sa.Connection) -> Trials:
    """Return every trial, in one statement."""
    found = Trials()
    for shard, up_to, attempts in connection.execute(_ALL):
        found.by_shard.setdefault(shard, []).append((up_to, attempts))
    return found


_ALL = sa.select(trials.c.shard, trials.c.up_to, trials.c.attempts).order_by(trials.c.shard, trials.c.up_to)


def begin_trials(connection: sa.Connection, ends: Ends, *, attempts: int) -> None:
    """Record that these rows are about to be applied, with the number of attempts."""
    rows: list[Row] = [{"shard": s, "up_to": up_to, "attempts": attempts} for s, up_to in ends.items()]
    insert(connection, trials, rows, conflict=["shard", "up_to"], update=["attempts"])


def end_trials(connection: sa.Connection, ends: Ends) -> None:
    """Delete the trials that a process has survived."""
    if ends:
        rows: list[Row] = [{"shard": shard, "up_to": up_to} for shard, up_to in ends.items()]
        given = relation(connection, [trials.c.shard, trials.c.up_to], rows)
        is_given = sa.exists().where(trials.c.shard == given.c.shard, trials.c.up_to == given.c.up_to)
        connection.execute(sa.delete(trials).where(is_given))


def end_passed(connection: sa.Connection, first: InboxRow) -> None:
    """End the shard's trials of which nothing is left: `first` is its oldest row."""
    connection.execute(sa.delete(trials).where(trials.c.shard == first.shard, trials.c.up_to < first.id))
