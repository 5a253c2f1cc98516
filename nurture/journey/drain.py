"""The drain: apply pending events to their contacts, once and in order, and ring the alarms that are due.

Input: the inbox, and contacts whose alarm is due. Output: numbered events, new facts, track and stage, started
runs, decided messages, folded objects; the guard follows. Each function does one bounded batch in transactions
of its own, may be called by any number of workers at once, and returns its counts; when `counts.more` is true,
the caller calls again at once.
"""

from typing import Final

import sqlalchemy as sa

from nurture.contacts import inbox_queries
from nurture.contacts import queries as people
from nurture.contacts.locking import (
    LockedBatch,
    LockedShards,
    load_batch_of_contacts,
    lock_batch_of_shards,
    lock_free_shards,
    run_without_lost_race,
)
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.pace.work_classes import INBOX, divide
from nurture.domain.playbook import Playbook
from nurture.journey import adoption_queries, crash_counts
from nurture.journey.apply_batch import BatchResult, Rule, apply
from nurture.journey.crash_count_queries import end_trials, load_trials
from nurture.journey.crash_counts import CountedBatch
from nurture.journey.merge import join
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.runtime.failpoints import failpoint

__all__ = ["BATCH", "adopt", "drain", "drain_shards", "ring"]

#: Rows of one batch: about a third of a second of work. A larger one holds its locks longer and gains little.
BATCH: Final = 2_000
#: Alarms that a new process rings first; they are put off before, in case one of them ends it.
_FIRST_RINGS: Final = 50

_AppliedBatch = tuple[LockedBatch, BatchResult]


class _SuspectBatch(Exception):
    """This batch may have killed a process: its attempts are counted before it runs."""

    def __init__(self, shard: int) -> None:
        super().__init__(shard)
        self.shard = shard


def drain(
    database: Database,
    *,
    shard: int | None,
    clock: Clock,
    playbooks: PlaybookSource,
    limit: int = BATCH,
    rule: Rule = advance,
) -> Counts:
    """Apply the oldest events of the shard, or (None) of each class of the inbox: live events, then bulk work.

    Of `limit` rows each class gets its share (`domain.pace.work_classes`), in a transaction of its own: the oldest
    rows of its free shard whose oldest row waits longest, and of others that this process has proven. Counts as
    `drain_shards` does.
    """
    if shard is not None:
        return drain_shards(database, shards=shard, clock=clock, playbooks=playbooks, limit=limit, rule=rule)
    counts = Counts()
    with database.look() as connection:
        if not inbox_queries.has_rows(connection):
            return counts
    with database.read() as connection:
        waiting = inbox_queries.count_rows(connection, most=limit)
    parts = divide(INBOX, limit, waiting)
    for shards, count, part in zip(inbox_queries.CLASSES, waiting, parts, strict=True):
        if part:
            # A class whose rows all fit may take those that come meanwhile.
            most = part if part < count else limit
            counts.add(
                drain_shards(database, shards=shards, clock=clock, playbooks=playbooks, limit=most, rule=rule)
            )
    return counts


def drain_shards(
    database: Database,
    *,
    shards: int | range,
    clock: Clock,
    playbooks: PlaybookSource,
    limit: int = BATCH,
    rule: Rule = advance,
) -> Counts:
    """Apply the oldest events of the shard, or of the free one of several whose oldest row waits longest.

    Counts `applied`, `duplicate`, `quarantined`, `merged`, `created`, `contacts`, `objects` and what
    `contacts.save_queries.save` counts; nothing when the shard is empty or another worker holds it. Raises
    Transient when the database refuses the transaction; the rows are then still in the inbox.
    """
    with database.look() as connection:
        if not inbox_queries.has_rows(connection, shards):
            return Counts()
    now, proven_work, counts = clock.now(), crash_counts.proven_work_of(database), Counts()

    def apply_taken(
        connection: sa.Connection, locked_shards: LockedShards, counted: CountedBatch | None = None
    ) -> _AppliedBatch:
        playbook = playbooks.active(connection).playbook
        return _batch(connection, locked_shards, counted, now=now, playbook=playbook, limit=limit, rule=rule)

    def batch(connection: sa.Connection) -> _AppliedBatch | None:
        locked = inbox_queries.lock_shard(connection, shards)
        if locked is None:
            return None
        if locked not in proven_work.shards:
            raise _SuspectBatch(locked)
        along = proven_work.shards - {locked}
        return apply_taken(connection, lock_free_shards(connection, locked, along, limit=limit))

    try:
        done = run_without_lost_race(database, batch)
    except _SuspectBatch as suspect:
        counts, done = crash_counts.run_counted_batch(database, suspect.shard, apply_taken, limit=limit)
    if done is None:
        return counts
    failpoint("drain.committed")
    taken, applied = done
    counts.add(applied.counts)
    for row in taken.joins:
        counts.add(join(database, row.id, now=now, playbooks=playbooks))
    for failure in applied.failures:
        counts.add(
            crash_counts.isolate_failing_rows(database, failure, now=now, playbooks=playbooks, rule=rule)
        )
    return counts


def _batch(
    connection: sa.Connection,
    locked_shards: LockedShards,
    counted: CountedBatch | None,
    *,
    now: Instant,
    playbook: Playbook,
    limit: int,
    rule: Rule,
) -> _AppliedBatch:
    """Apply one batch of locked shards; with `counted` only its rows, whose attempts are already committed.

    Raises _SuspectBatch when a row has attempts and they are not counted here.
    """
    taken = lock_batch_of_shards(connection, locked_shards, limit=limit)
    if counted is not None:
        taken.keep(lambda row: row.id in counted.rows)
    else:
        tried, first = load_trials(connection), locked_shards.shards[0]
        if any(row.shard == first and tried.attempts_of(row) for row in taken.rows()):
            raise _SuspectBatch(first)
        # A suspicious row of another shard is run there, with its attempts counted.
        taken.keep(lambda row: not tried.attempts_of(row))
    failpoint("drain.taken")
    applied = apply(connection, taken, now=now, playbook=playbook, rule=rule)
    failpoint("drain.applied")
    if counted is not None:
        end_trials(connection, counted.ends)
        inbox_queries.reset_attempts(connection, counted.tried)
        # A counted row behind a row of another shard is left; later batches may take it.
        applied.counts.more = applied.counts.more or len(taken.rows()) < len(counted.rows)
    return taken, applied


def ring(
    database: Database,
    *,
    clock: Clock,
    playbooks: PlaybookSource,
    limit: int = BATCH,
    rule: Rule = advance,
) -> Counts:
    """Advance contacts whose alarm is due, the oldest alarm first, and apply their pending events.

    A contact that another worker holds is left to it. Counts `rung` beside what `drain` counts. An idle call
    reads one index entry.
    """
    now, proven_work = clock.now(), crash_counts.proven_work_of(database)
    with database.look() as connection:
        if not people.is_any_alarm_due(connection, now=now):
            return Counts()
    suspects: dict[int, Instant] | None = None
    if not proven_work.has_finished_alarms:
        suspects = crash_counts.put_off_oldest_alarms(database, now=now, limit=min(limit, _FIRST_RINGS))

    def work(connection: sa.Connection) -> tuple[int, BatchResult] | None:
        if suspects is None:
            due = people.lock_due_contacts(connection, now=now, limit=limit)
        else:
            free = people.lock_contacts(connection, suspects, skip_locked=True)
            due = {contact: row for contact, row in free.items() if people.is_living(row)}
        if not due:
            return None
        playbook = playbooks.active(connection).playbook
        taken = load_batch_of_contacts(
            connection, {contact: row.email for contact, row in due.items()}, limit=2 * limit
        )
        taken.wakes = suspects or {}
        if taken.rows():
            tried = load_trials(connection)
            taken.keep(lambda row: not tried.attempts_of(row))
        # A contact whose event only a drain can apply waits for that drain.
        applied = apply(connection, taken, now=now, playbook=playbook, rule=rule, always=True)
        failpoint("ring.applied")
        return len(due), applied

    done = run_without_lost_race(database, work)
    proven_work.has_finished_alarms = True
    if done is None:
        return Counts()
    count, applied = done
    counts = applied.counts
    counts["rung"] = count
    counts.more = suspects is not None or (count >= limit and applied.still_due < count)
    for failure in applied.failures:
        # The drain finds the failing event of such a contact; here only its alarm is put off.
        counts.add(crash_counts.pause_alarm(database, failure, now=now, playbooks=playbooks, rule=rule))
    return counts


def adopt(database: Database, *, clock: Clock, playbooks: PlaybookSource, limit: int = BATCH) -> Counts:
    """After a publish, wake the next `limit` contacts by id, so that they adopt the new rules.

    The caller sets the rate by how often it calls. A contact that has the rules already is not woken. Counts
    `woken`.
    """
    now = clock.now()

    def work(connection: sa.Connection) -> Counts:
        rules_hash = playbooks.active(connection).playbook.rules_hash
        ids = adoption_queries.lock_page(connection, limit=limit)
        if not ids:
            return Counts()
        counts = Counts(woken=adoption_queries.wake_page(connection, ids, rules_hash=rules_hash, at=now))
        counts.more = len(ids) == limit
        return counts

    with database.look() as connection:
        if not adoption_queries.is_adopting(connection):
            return Counts()
    return database.run(work)
