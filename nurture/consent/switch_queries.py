"""Stop switches as rows, the messages they deferred, and the cancellation of a measure.

Lock order as everywhere: contacts by id, then runs and messages, then switches and lanes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.consent.queries import raise_versions
from nurture.contacts.family_queries import family
from nurture.database.bulk import any_of, insert
from nurture.database.day_counts import COUNTED, count_mails
from nurture.database.schema import contacts, messages, pauses, runs, switches
from nurture.domain.instant import Instant


def load_paused_switches(connection: sa.Connection) -> dict[str, str]:
    """Return name -> reason of every paused switch."""
    return {row.name: row.reason for row in connection.execute(_PAUSED).all()}


def load_switches(connection: sa.Connection) -> dict[str, sa.Row[Any]]:
    """Return name -> row of every switch, on or off."""
    return {row.name: row for row in connection.execute(sa.select(switches)).all()}


_PAUSED = sa.select(switches.c.name, switches.c.reason).where(switches.c.paused)


def save_switch(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Insert or update one switch."""
    columns = ("paused", "reason", "actor", "at")
    insert(connection, switches, [dict(row)], conflict=("name",), update=columns)


def open_pause(
    connection: sa.Connection, name: str, *, mode: str, reason: str, actor: str, now: Instant
) -> None:
    """Note that a pause begins, unless one of the same mode is open: `all` of a name, or only `entries`."""
    open_one = pauses.c.name == name, pauses.c.mode == mode, pauses.c.until.is_(None)
    if connection.execute(sa.select(pauses.c.id).where(*open_one)).first() is None:
        row = {"name": name, "mode": mode, "since": now, "reason": reason, "actor": actor}
        connection.execute(sa.insert(pauses).values(row))


def end_pauses(connection: sa.Connection, name: str, *, modes: Sequence[str], now: Instant) -> list[str]:
    """End the open pauses of a name; return their actors."""
    open_ones = pauses.c.name == name, pauses.c.mode.in_(modes), pauses.c.until.is_(None)
    ended = sa.update(pauses).where(*open_ones).values(until=now).returning(pauses.c.actor)
    return list(connection.execute(ended).scalars())


def release_paused_messages(
    connection: sa.Connection, measure: str | None, *, now: Instant, limit: int
) -> int:
    """Make waiting messages that a pause deferred due now, of one measure or (None) of all; return how many.

    At most `limit`, without rows that another transaction has locked: the rest are checked again within half an
    hour.
    """
    deferred = (
        sa.select(messages.c.id)
        .where(
            messages.c.status == sa.literal_column("'waiting'"),
            messages.c.reason == "paused",
            messages.c.due_at > now,
        )
        .order_by(messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if measure is not None:
        deferred = deferred.where(messages.c.measure == measure)
    ids = list(connection.execute(deferred).scalars())
    if ids:
        statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
        connection.execute(statement.values(due_at=now))
    return len(ids)


def release_deferred_messages(
    connection: sa.Connection, contact_id: int, *, reasons: Sequence[str], now: Instant
) -> int:
    """Make the person's waiting messages that were deferred for these reasons due now; return how many.

    The caller holds the contact's lock.
    """
    members = family(connection, [contact_id])
    statement = sa.update(messages).where(
        messages.c.contact_id.in_(sa.select(members.c.id)),
        messages.c.status == sa.literal_column("'waiting'"),
        messages.c.reason.in_(reasons),
        messages.c.due_at > now,
    )
    return connection.execute(statement.values(due_at=now)).rowcount


@dataclass(frozen=True, slots=True)
class CancelCounts:
    """The numbers of contacts, runs and messages that one batch of a cancellation ended."""

    contacts: int
    runs: int
    messages: int


def cancel_measure_batch(
    connection: sa.Connection, measure: str, *, reason: str, now: Instant, limit: int
) -> CancelCounts:
    """End active runs and unsent messages of a measure for at most `limit` contacts; `contacts` 0: none is left."""
    active = sa.and_(runs.c.measure == measure, runs.c.status == sa.literal_column("'active'"))
    unsent = sa.and_(messages.c.measure == measure, messages.c.status.in_(("waiting", "ready")))
    concerned = sa.union(
        sa.select(runs.c.contact_id).where(active), sa.select(messages.c.contact_id).where(unsent)
    ).subquery()
    statement = sa.select(concerned.c.contact_id).order_by(concerned.c.contact_id).limit(limit)
    ids = list(connection.execute(statement).scalars())
    if not ids:
        return CancelCounts(0, 0, 0)
    return end_runs_and_messages(connection, ids, active=active, unsent=unsent, reason=reason, now=now)


def end_runs_and_messages(
    connection: sa.Connection,
    ids: Sequence[int],
    *,
    active: sa.ColumnElement[bool],
    unsent: sa.ColumnElement[bool],
    reason: str,
    now: Instant,
) -> CancelCounts:
    """Lock these contacts, and cancel those of their runs and messages that the two conditions select."""
    _lock_with_survivors(connection, ids)
    ended = sa.update(runs).where(active, any_of(runs.c.contact_id, ids, connection))
    ended = ended.values(status="cancelled", reason=reason, ended_at=now, mailing=False)
    cancelled = sa.update(messages).where(unsent, any_of(messages.c.contact_id, ids, connection))
    cancelled = cancelled.values(
        status="cancelled", reason=reason, settled_at=now, lease_owner=None, lease_until=None
    )
    runs_ended = connection.execute(ended).rowcount
    mails = connection.execute(cancelled.returning(*COUNTED)).all()
    count_mails(connection, mails, before="waiting")
    return CancelCounts(contacts=len(ids), runs=runs_ended, messages=len(mails))


def _lock_with_survivors(connection: sa.Connection, ids: Sequence[int]) -> None:
    known = sa.select(contacts.c.id, contacts.c.survivor).where(any_of(contacts.c.id, ids, connection))
    wanted = {number for row in connection.execute(known) for number in row if number is not None}
    statement = (
        sa.select(contacts.c.id)
        .where(any_of(contacts.c.id, sorted(wanted), connection))
        .order_by(contacts.c.id)
        .with_for_update()
    )
    raise_versions(connection, list(connection.execute(statement).scalars()))
