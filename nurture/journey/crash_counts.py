"""Finding the one event that cannot be applied, so that it is quarantined and all others are applied.

There are two kinds. An exception of the pure rule names its contact: that contact's rows are run again without
the others, by halves, until one row alone raises. A row that kills the process leaves no exception: so attempts
are committed before a suspicious batch runs, each further attempt takes a quarter of the rows, and a row that
was alone in two attempts is quarantined without another run. An alarm that kills the process is put off before
it rings. Lost connections and deadlocks are not counted: `Database.run` repeats the transaction.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from nurture.contacts import inbox_queries
from nurture.contacts import queries as people
from nurture.contacts.accept import Rejected, quarantine
from nurture.contacts.locking import (
    LockedShards,
    load_batch_of_contacts,
    lock_free_shards,
    run_without_lost_race,
)
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import HOUR, MINUTE, Duration, Instant
from nurture.journey.apply_batch import BatchResult, Failure, Rule, apply
from nurture.journey.carry_out import save_and_carry_out
from nurture.journey.crash_count_queries import Ends, begin_trials, end_passed, end_trials, load_trials
from nurture.journey.deduplicate import rejected
from nurture.playbook import PlaybookSource

T = TypeVar("T")

#: After so many attempts of which the last two were alone (2000 -> 500 -> 125 -> 31 -> 7 -> 1 -> 1), it is the row.
CRASHES_MAX: Final = 7
#: How long the alarm of a contact waits that the rule raises for without any event.
_PAUSE: Final[Duration] = HOUR
#: How long an alarm that may have ended a process waits.
_REST: Final[Duration] = 10 * MINUTE
_ROWS_MAX: Final = 2_000


@dataclass(slots=True)
class ProvenWork:
    """The work that this process has survived on one database."""

    # Shards of which it has finished a batch. The first batch of each has its attempts counted before it runs,
    # because the process before this one may have died of it.
    shards: set[int] = field(default_factory=set)
    # It has finished a batch of alarms.
    has_finished_alarms: bool = False
    # One counted batch at a time: its rows look suspicious to every other thread.
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Trials that are still counted although this process has survived them (the database was away).
    survived: Ends = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountedBatch:
    """Rows whose attempts are committed before they are applied."""

    shards: tuple[int, ...]
    rows: frozenset[int] = frozenset()
    # The trials to which the rows belong.
    ends: Ends = field(default_factory=dict)
    # Of the rows, those that have attempts of their own.
    tried: frozenset[int] = frozenset()


_proven_work_by_database: WeakKeyDictionary[Database, ProvenWork] = WeakKeyDictionary()


def proven_work_of(database: Database) -> ProvenWork:
    """Return the work that this process has survived on the database."""
    return _proven_work_by_database.setdefault(database, ProvenWork())


def run_counted_batch(
    database: Database,
    shard: int,
    batch: Callable[[sa.Connection, LockedShards, CountedBatch], T],
    *,
    limit: int,
) -> tuple[Counts, T | None]:
    """Run a batch of the shard's next rows whose attempts are committed before it begins.

    The more attempts the rows have had, the fewer of them run; where none has had any, rows of other shards that
    this process has not proven are added. batch: applies the counted rows, whose shards are locked, and ends
    their trials. The second value is None when another thread runs a counted batch (then `more` is true), when
    the shard is empty, or when its first row has had CRASHES_MAX attempts and was quarantined as `crash`.
    """
    proven_work, counts = proven_work_of(database), Counts()
    if not proven_work.lock.acquire(blocking=False):
        counts.more = True
        return counts, None
    unproven = sorted(set(inbox_queries.shards_of_class(shard)) - proven_work.shards - {shard})
    counted: list[CountedBatch] = []

    def count_attempt(locked: LockedShards) -> None:
        if not counted:
            counted.append(
                database.run(
                    lambda connection: _count_attempt(connection, locked, proven_work, counts, limit=limit)
                )
            )

    def work(connection: sa.Connection) -> T | None:
        if inbox_queries.lock_shard(connection, shard) is None:
            return None
        locked = lock_free_shards(connection, shard, counted[0].shards if counted else unproven, limit=limit)
        # Committed apart while this transaction holds the shards, so that no other worker reads a crash from it.
        count_attempt(locked)
        shards = counted[0].shards
        if not counted[0].rows:
            return None
        return batch(connection, locked if locked.shards == shards else LockedShards(shards), counted[0])

    try:
        if database.is_sqlite:
            # SQLite has one writer at a time: the lock above keeps the other threads away, not the shards.
            count_attempt(LockedShards((shard, *unproven)))
        done = run_without_lost_race(database, work)
        proven_work.survived = {}
        proven_work.shards.update(*(counted_batch.shards for counted_batch in counted))
        return counts, done
    finally:
        proven_work.lock.release()


def _count_attempt(
    connection: sa.Connection,
    locked: LockedShards,
    proven_work: ProvenWork,
    counts: Counts,
    *,
    limit: int,
) -> CountedBatch:
    """Count an attempt of the shards' next rows."""
    end_trials(connection, proven_work.survived)
    tried = load_trials(connection)
    shards = locked.shards
    rows = (
        locked.rows
        if locked.rows is not None
        else inbox_queries.load_oldest(connection, *shards, limit=limit)
    )
    if len(shards) > 1 and any(tried.attempts_of(row) for row in rows):
        # One of them may have ended a process: the first shard alone, fewer rows each time.
        shards = shards[:1]
        rows = inbox_queries.load_oldest(connection, *shards, limit=limit)
    counted = CountedBatch(shards)
    if not rows:
        return counted
    first = rows[0]
    if first.shard in tried.by_shard:
        end_passed(connection, first)
    attempts, within = tried.attempts_of(first), tried.end_of(first)
    if attempts >= CRASHES_MAX:
        reason = f"the process ended {attempts} times while this event was applied"
        quarantine(connection, [rejected(first, "crash", reason, contact_id=None)])
        inbox_queries.delete_rows(connection, [first.id])
        end_trials(connection, {first.shard: first.id})
        counts["quarantined"] = 1
        counts.more = True
        return counted
    chosen = [row for row in rows[: max(1, limit >> 2 * attempts)] if row.id <= within]
    counted = CountedBatch(
        shards,
        frozenset(row.id for row in chosen),
        {row.shard: row.id for row in chosen},
        frozenset(row.id for row in chosen if row.attempts),
    )
    begin_trials(connection, counted.ends, attempts=attempts + 1)
    proven_work.survived = counted.ends
    return counted


def put_off_oldest_alarms(database: Database, *, now: Instant, limit: int) -> dict[int, Instant]:
    """Put off the oldest due alarms; return contact -> the instant at which it was due, for the caller to ring.

    The new time is committed before the alarms ring: an alarm that ends the process returns after the others, so
    it cannot end every process that begins.
    """

    def work(connection: sa.Connection) -> dict[int, Instant]:
        due = people.lock_due_contacts(connection, now=now, limit=limit)
        people.spread_alarms(connection, list(due), after=now + _REST)
        return {contact: row.wake_at for contact, row in due.items()}

    return database.run(work)


def isolate_failing_rows(
    database: Database, failure: Failure, *, now: Instant, playbooks: PlaybookSource, rule: Rule
) -> Counts:
    """Apply the rows of a contact that the rule raised for, in halves; quarantine a row that raises alone."""
    counts = Counts()
    if not failure.rows:
        return pause_alarm(database, failure, now=now, playbooks=playbooks, rule=rule)
    half = (len(failure.rows) + 1) // 2
    for part in (failure.rows[:half], failure.rows[half:]):
        if not part:
            continue
        applied = _apply_alone(database, failure.contact, part, now=now, playbooks=playbooks, rule=rule)
        counts.add(applied.counts)
        for again in applied.failures:
            if len(part) > 1:
                counts.add(isolate_failing_rows(database, again, now=now, playbooks=playbooks, rule=rule))
            else:
                counts.add(_set_aside(database, again))
    return counts


def pause_alarm(
    database: Database, failure: Failure, *, now: Instant, playbooks: PlaybookSource, rule: Rule
) -> Counts:
    """Ring a contact's alarm once more without its events; if the rule still raises, put the alarm off by an hour."""

    def work(connection: sa.Connection) -> Counts:
        locked = people.lock_contacts(connection, [failure.contact])
        if not locked or not people.is_living(locked[failure.contact]):
            return Counts()
        playbook = playbooks.active(connection).playbook
        state = people.load_contacts(connection, [failure.contact], playbook)[failure.contact]
        try:
            advance = rule(state, [], now=now, playbook=playbook, in_place=True)
        except MemoryError:
            # The process has no memory left, whichever contact is being advanced.
            raise
        except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this contact waits
            people.set_alarm(connection, failure.contact, until=now + _PAUSE)
            reason = f"the alarm of contact {failure.contact} raises {type(error).__name__}: {error}"
            item = Rejected("alarm", None, now, "rule", reason, "", failure.contact)
            known = inbox_queries.load_quarantine_reasons(connection, "rule", [failure.contact])
            if (failure.contact, reason) in known:
                return Counts()
            quarantine(connection, [item])
            return Counts(quarantined=1)
        return save_and_carry_out(connection, [advance], playbook)

    return database.run(work)


def _apply_alone(
    database: Database,
    contact: int,
    rows: Sequence[int],
    *,
    now: Instant,
    playbooks: PlaybookSource,
    rule: Rule,
) -> BatchResult:
    """Apply these rows of one contact and nothing else; their attempts are committed first."""
    database.run(lambda connection: inbox_queries.raise_attempts(connection, rows))

    def work(connection: sa.Connection) -> BatchResult:
        locked = people.lock_contacts(connection, [contact])
        if not locked or not people.is_living(locked[contact]):
            return BatchResult(Counts())
        playbook = playbooks.active(connection).playbook
        taken = load_batch_of_contacts(connection, {contact: locked[contact].email}, limit=_ROWS_MAX)
        taken.keep(lambda row: row.id in rows)
        taken.conflicts = []
        applied = apply(connection, taken, now=now, playbook=playbook, rule=rule)
        applied.counts.more = False
        return applied

    return run_without_lost_race(database, work)


def _set_aside(database: Database, failure: Failure) -> Counts:
    def work(connection: sa.Connection) -> Counts:
        people.lock_contacts(connection, [failure.contact])
        rows = inbox_queries.load_rows(connection, failure.rows)
        quarantine(
            connection, [rejected(row, "rule", failure.error, contact_id=failure.contact) for row in rows]
        )
        inbox_queries.delete_rows(connection, failure.rows)
        return Counts(quarantined=len(rows))

    return database.run(work)
