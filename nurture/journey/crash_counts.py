"""Poison: the one event that cannot be applied is found and set aside, everybody else's flow.

Two kinds. An exception of the pure rule names its contact: that contact's rows are run again without the
others, by halves, until one row alone raises. A row that kills the process leaves no exception: so attempts
are committed before a suspicious batch runs, each further attempt takes a quarter of the rows, and a row that
was alone in two attempts is set aside unrun. An alarm that kills the process is put off before it rings.
Lost connections, deadlocks and the like are nobody's fault: `Database.run` repeats them.
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
from nurture.contacts.save_queries import save
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import HOUR, MINUTE, Duration, Instant
from nurture.journey.apply_batch import Applied, Failure, Rule, apply
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
class Watch:
    """What this process knows of a database's shards."""

    # Shards of which it has finished a batch. The first batch of each has its attempts counted before it runs,
    # because the process before this one may have died of it.
    proven: set[int] = field(default_factory=set)
    # It has finished a batch of alarms.
    has_rung: bool = False
    # One careful batch at a time: its rows look suspicious to everybody else.
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Trials that are still counted although this process has survived them (the database was away).
    survived: Ends = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Marked:
    """Rows whose attempts are committed before they are applied."""

    shards: tuple[int, ...]
    rows: frozenset[int] = frozenset()
    # The trials they stand in.
    ends: Ends = field(default_factory=dict)
    # Of the rows, those that have attempts of their own.
    tried: frozenset[int] = frozenset()


_watches: WeakKeyDictionary[Database, Watch] = WeakKeyDictionary()


def watch_of(database: Database) -> Watch:
    """Return what this process knows of the database's shards."""
    return _watches.setdefault(database, Watch())


def carefully(
    database: Database,
    shard: int,
    batch: Callable[[sa.Connection, LockedShards, Marked], T],
    *,
    limit: int,
) -> tuple[Counts, T | None]:
    """Run a batch of the shard's next rows whose attempts are committed before it begins.

    The more attempts they have had, the fewer rows; rows of other shards that this process has not proven come
    along where none had any. batch: does the rows marked, whose shards are locked, and ends their trials.
    None with it: another one is being careful (then there is `more`), the shard is empty, or its first row had
    had CRASHES_MAX and was set aside as `crash`.
    """
    watch, counts = watch_of(database), Counts()
    if not watch.lock.acquire(blocking=False):
        counts.more = True
        return counts, None
    unproven = sorted(set(range(inbox_queries.SHARDS)) - watch.proven - {shard})
    marked: list[Marked] = []

    def mark(reach: LockedShards) -> None:
        if not marked:
            marked.append(
                database.run(lambda connection: _mark(connection, reach, watch, counts, limit=limit))
            )

    def work(connection: sa.Connection) -> T | None:
        if inbox_queries.lock_shard(connection, shard) is None:
            return None
        reach = lock_free_shards(connection, shard, marked[0].shards if marked else unproven, limit=limit)
        # In a transaction of its own while this one holds the shards: nobody else takes the marks for a death.
        mark(reach)
        mine = marked[0]
        if not mine.rows:
            return None
        return batch(connection, reach if reach.shards == mine.shards else LockedShards(mine.shards), mine)

    try:
        if database.is_sqlite:
            # It has one writer at a time; the lock above keeps the other threads away instead.
            mark(LockedShards((shard, *unproven)))
        done = run_without_lost_race(database, work)
        watch.survived = {}
        watch.proven.update(*(one.shards for one in marked))
        return counts, done
    finally:
        watch.lock.release()


def _mark(
    connection: sa.Connection, reach: LockedShards, watch: Watch, counts: Counts, *, limit: int
) -> Marked:
    """Count an attempt of the shards' next rows."""
    end_trials(connection, watch.survived)
    tried = load_trials(connection)
    shards = reach.shards
    rows = (
        reach.rows if reach.rows is not None else inbox_queries.load_oldest(connection, *shards, limit=limit)
    )
    if len(shards) > 1 and any(tried.attempts_of(row) for row in rows):
        # One of them may have ended a process: the first shard alone, fewer rows each time.
        shards = shards[:1]
        rows = inbox_queries.load_oldest(connection, *shards, limit=limit)
    marked = Marked(shards)
    if not rows:
        return marked
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
        return marked
    chosen = [row for row in rows[: max(1, limit >> 2 * attempts)] if row.id <= within]
    marked = Marked(
        shards,
        frozenset(row.id for row in chosen),
        {row.shard: row.id for row in chosen},
        frozenset(row.id for row in chosen if row.attempts),
    )
    begin_trials(connection, marked.ends, attempts=attempts + 1)
    watch.survived = marked.ends
    return marked


def put_off_first(database: Database, *, now: Instant, limit: int) -> dict[int, Instant]:
    """Put off the alarms that are due longest; return whose they are and when they were due: ring them now.

    Committed before they ring: one that ends the process comes back later than the others and not with them,
    so it cannot end every process that begins.
    """

    def work(connection: sa.Connection) -> dict[int, Instant]:
        due = people.lock_due_contacts(connection, now=now, limit=limit)
        people.spread_alarms(connection, list(due), after=now + _REST)
        return {contact: row.wake_at for contact, row in due.items()}

    return database.run(work)


def separate(
    database: Database, failure: Failure, *, now: Instant, playbooks: PlaybookSource, rule: Rule
) -> Counts:
    """Apply the rows of a contact that the rule raised for, in halves; set aside what raises alone."""
    counts = Counts()
    if not failure.rows:
        return pause_alarm(database, failure, now=now, playbooks=playbooks, rule=rule)
    half = (len(failure.rows) + 1) // 2
    for part in (failure.rows[:half], failure.rows[half:]):
        if not part:
            continue
        applied = _alone(database, failure.contact, part, now=now, playbooks=playbooks, rule=rule)
        counts.add(applied.counts)
        for again in applied.failures:
            if len(part) > 1:
                counts.add(separate(database, again, now=now, playbooks=playbooks, rule=rule))
            else:
                counts.add(_set_aside(database, again))
    return counts


def pause_alarm(
    database: Database, failure: Failure, *, now: Instant, playbooks: PlaybookSource, rule: Rule
) -> Counts:
    """Ring a contact's alarm once more without its events; if the rule still raises, let it wait an hour."""

    def work(connection: sa.Connection) -> Counts:
        locked = people.lock_contacts(connection, [failure.contact])
        if not locked or not people.is_living(locked[failure.contact]):
            return Counts()
        playbook = playbooks.active(connection).playbook
        state = people.load_contacts(connection, [failure.contact], playbook)[failure.contact]
        try:
            one = rule(state, [], now=now, playbook=playbook, in_place=True)
        except MemoryError:
            # The process has none left: nobody's fault who is in this batch.
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
        return save(connection, [one])

    return database.run(work)


def _alone(
    database: Database,
    contact: int,
    rows: Sequence[int],
    *,
    now: Instant,
    playbooks: PlaybookSource,
    rule: Rule,
) -> Applied:
    """Apply these rows of one contact and nothing else; their attempts are committed first."""
    database.run(lambda connection: inbox_queries.raise_attempts(connection, rows))

    def work(connection: sa.Connection) -> Applied:
        locked = people.lock_contacts(connection, [contact])
        if not locked or not people.is_living(locked[contact]):
            return Applied(Counts())
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
