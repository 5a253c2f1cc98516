"""Poison: the one event that cannot be applied is found and set aside, everybody else's flow.

Two kinds. An exception of the pure rule names its contact: that contact's rows are run again without the
others, by halves, until one row alone raises. A row that kills the process leaves no exception: so attempts
are committed before a suspicious batch runs, each further attempt takes a quarter of the rows, and a row that
was alone in two attempts is set aside unrun. Lost connections, deadlocks and the like are nobody's fault:
`Database.run` repeats them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.domain.counts import Counts
from nurture.domain.instant import HOUR, Duration, Instant
from nurture.flow.applied import rejected
from nurture.flow.batch import Applied, Failure, Rule, apply, take_locked, take_shard, transact
from nurture.flow.inbox import Rejected, quarantine
from nurture.playbook import PlaybookSource
from nurture.store import contacts as people
from nurture.store import inbox
from nurture.store.database import Database
from nurture.store.saving import save

#: After so many attempts of which the last two were alone (500 -> 125 -> 31 -> 7 -> 1 -> 1), it is the row.
CRASHES_MAX: Final = 6
#: How long the alarm of a contact waits that the rule raises for without any event.
_PAUSE: Final[Duration] = HOUR
_ROWS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Marked:
    """Rows whose attempts were counted: nothing else may be run in the batch that follows."""

    rows: frozenset[int]
    counts: Counts


def mark(database: Database, shard: int, *, playbooks: PlaybookSource, limit: int) -> Marked:
    """Commit one more attempt for the shard's next rows, the fewer the more attempts they have had.

    A row that has had CRASHES_MAX is set aside as `crash`; then no rows are returned.
    """

    def work(connection: sa.Connection) -> Marked:
        playbook = playbooks.active(connection).playbook
        taken = take_shard(connection, shard, limit=limit, playbook=playbook)
        if taken is None:
            return Marked(frozenset(), Counts())
        # Names and contacts that were missing are stored by now.
        counts = Counts(created=taken.created)
        rows = taken.rows()
        if not rows:
            # Only joins stand in line; they run no rule.
            return Marked(frozenset({0} if taken.joins else ()), counts)
        first = rows[0]
        if first.attempts < CRASHES_MAX:
            ids = [row.id for row in rows[: max(1, limit >> 2 * first.attempts)]]
            inbox.raise_attempts(connection, ids)
            return Marked(frozenset(ids), counts)
        home = next((share.contact for share in taken.shares.values() if first in share.rows), None)
        reason = f"the process ended {first.attempts} times while this event was applied"
        quarantine(connection, [rejected(first, "crash", reason, contact_id=home)])
        inbox.delete(connection, [first.id])
        counts["quarantined"] = 1
        counts.more = True
        return Marked(frozenset(), counts)

    return transact(database, work)


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
        if not locked or locked[failure.contact].survivor is not None:
            return Counts()
        playbook = playbooks.active(connection).playbook
        state = people.load_contacts(connection, [failure.contact], playbook)[failure.contact]
        try:
            one = rule(state, [], now=now, playbook=playbook, owned=True)
        except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this contact waits
            people.put_off(connection, failure.contact, until=now + _PAUSE)
            reason = f"the alarm of contact {failure.contact} raises {type(error).__name__}: {error}"
            item = Rejected("alarm", None, now, "rule", reason, "", failure.contact)
            known = inbox.reasons_known(connection, "rule", [failure.contact])
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
    database.run(lambda connection: inbox.raise_attempts(connection, rows))

    def work(connection: sa.Connection) -> Applied:
        locked = people.lock_contacts(connection, [contact])
        if not locked or locked[contact].survivor is not None:
            return Applied(Counts())
        playbook = playbooks.active(connection).playbook
        taken = take_locked(connection, {contact: locked[contact].email}, limit=_ROWS_MAX)
        taken.keep_only(set(rows))
        taken.conflicts = []
        applied = apply(connection, taken, now=now, playbook=playbook, rule=rule)
        applied.counts.more = False
        return applied

    return transact(database, work)


def _set_aside(database: Database, failure: Failure) -> Counts:
    def work(connection: sa.Connection) -> Counts:
        people.lock_contacts(connection, [failure.contact])
        rows = inbox.find(connection, failure.rows)
        quarantine(
            connection, [rejected(row, "rule", failure.error, contact_id=failure.contact) for row in rows]
        )
        inbox.delete(connection, failure.rows)
        return Counts(quarantined=len(rows))

    return database.run(work)
