"""The drain: pending events are applied to their contacts, once and in order; and the alarm clock rings.

Enters: the inbox, and contacts whose alarm is due. Leaves: events numbered, facts, track and stage moved, runs
begun, messages decided, objects folded; then the guard. Each function does one bounded batch in transactions
of its own, may be called by any number of workers at once, and returns what it did; `counts.more` says that
the caller should come again at once.
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
from nurture.domain.playbook import Playbook
from nurture.journey import adoption_queries, crash_counts
from nurture.journey.apply_batch import Applied, Rule, apply
from nurture.journey.crash_count_queries import end_trials, load_trials
from nurture.journey.crash_counts import Marked
from nurture.journey.merge import join
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.runtime.failpoints import failpoint

__all__ = ["BATCH", "adopt", "drain", "ring"]

#: Rows of one batch: about a third of a second of work. A larger one holds its locks longer and gains little.
BATCH: Final = 2_000
#: Alarms that a new process rings first; they are put off before, in case one of them ends it.
_FIRST_RINGS: Final = 50

_Done = tuple[LockedBatch, Applied]


class _Suspect(Exception):
    """This batch may be what killed a process: count its attempts first."""

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
    """Apply the oldest events of the shard, or (None) of the free shard that waits longest.

    Counts `applied`, `duplicate`, `quarantined`, `merged`, `created`, `contacts`, `objects` and what
    `contacts.save_queries.save` counts; nothing at all when the shard is empty or somebody else's. Raises Transient
    when the database does not let it through; everything not yet applied is still in the inbox then.
    """
    with database.look() as connection:
        if not inbox_queries.has_rows(connection, shard):
            return Counts()
    now, watch, counts = clock.now(), crash_counts.watch_of(database), Counts()

    def apply_taken(connection: sa.Connection, reach: LockedShards, marked: Marked | None = None) -> _Done:
        playbook = playbooks.active(connection).playbook
        return _batch(connection, reach, marked, now=now, playbook=playbook, limit=limit, rule=rule)

    def batch(connection: sa.Connection) -> _Done | None:
        locked = inbox_queries.lock_shard(connection, shard)
        if locked is None:
            return None
        if locked not in watch.proven:
            raise _Suspect(locked)
        along = watch.proven - {locked}
        return apply_taken(connection, lock_free_shards(connection, locked, along, limit=limit))

    try:
        done = run_without_lost_race(database, batch)
    except _Suspect as suspect:
        counts, done = crash_counts.carefully(database, suspect.shard, apply_taken, limit=limit)
    if done is None:
        return counts
    failpoint("drain.committed")
    taken, applied = done
    counts.add(applied.counts)
    for row in taken.joins:
        counts.add(join(database, row.id, now=now, playbooks=playbooks))
    for failure in applied.failures:
        counts.add(crash_counts.separate(database, failure, now=now, playbooks=playbooks, rule=rule))
    return counts


def _batch(
    connection: sa.Connection,
    reach: LockedShards,
    marked: Marked | None,
    *,
    now: Instant,
    playbook: Playbook,
    limit: int,
    rule: Rule,
) -> _Done:
    """Do one batch of locked shards; only the rows marked, where their attempts have been counted.

    Raises _Suspect when they should have been.
    """
    taken = lock_batch_of_shards(connection, reach, limit=limit)
    if marked is not None:
        taken.keep(lambda row: row.id in marked.rows)
    else:
        tried, first = load_trials(connection), reach.shards[0]
        if any(row.shard == first and tried.attempts_of(row) for row in taken.rows()):
            raise _Suspect(first)
        # What is suspected in another shard is run there, with its attempts counted.
        taken.keep(lambda row: not tried.attempts_of(row))
    failpoint("drain.taken")
    applied = apply(connection, taken, now=now, playbook=playbook, rule=rule)
    failpoint("drain.applied")
    if marked is not None:
        end_trials(connection, marked.ends)
        inbox_queries.reset_attempts(connection, marked.tried)
        # Of these, what stands behind a row of another shard is left; it may be taken along from now on.
        applied.counts.more = applied.counts.more or len(taken.rows()) < len(marked.rows)
    return taken, applied


def ring(
    database: Database,
    *,
    clock: Clock,
    playbooks: PlaybookSource,
    limit: int = BATCH,
    rule: Rule = advance,
) -> Counts:
    """Advance contacts whose alarm is due, the longest due first, with whatever is pending for them.

    A contact that somebody else holds is left to them. Counts `rung` beside what `drain` counts. An idle call
    reads one index entry.
    """
    now, watch = clock.now(), crash_counts.watch_of(database)
    with database.look() as connection:
        if not people.is_any_alarm_due(connection, now=now):
            return Counts()
    suspects: dict[int, Instant] | None = None
    if not watch.has_rung:
        suspects = crash_counts.put_off_first(database, now=now, limit=min(limit, _FIRST_RINGS))

    def work(connection: sa.Connection) -> tuple[int, Applied] | None:
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
        # Who waits for an event that only a drain can apply waits for that drain.
        applied = apply(connection, taken, now=now, playbook=playbook, rule=rule, always=True)
        failpoint("ring.applied")
        return len(due), applied

    done = run_without_lost_race(database, work)
    watch.has_rung = True
    if done is None:
        return Counts()
    rung, applied = done
    counts = applied.counts
    counts["rung"] = rung
    counts.more = suspects is not None or (rung >= limit and applied.still_due < rung)
    for failure in applied.failures:
        # What the events of such a contact do is the drain's to find out; here only its alarm matters.
        counts.add(crash_counts.pause_alarm(database, failure, now=now, playbooks=playbooks, rule=rule))
    return counts


def adopt(database: Database, *, clock: Clock, playbooks: PlaybookSource, limit: int = BATCH) -> Counts:
    """After a publish, wake the next contacts by id, so that they take up the new rules; `limit` a call.

    How often it is called is the rate. Who has the rules already sleeps on. Counts `woken`.
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
