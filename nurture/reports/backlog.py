"""Measure how much work waits and since when, for the health check and the gauges. Read-only, by index."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.database.schema import contacts, inbox, messages, shards, switches
from nurture.domain.instant import FOREVER, Instant

_WAITING = messages.c.status == sa.literal_column("'waiting'")


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work that waits in each room at one instant."""

    # Accepted events that no drain has applied.
    inbox_depth: int
    # Lane -> decided mails that are not settled, due or not.
    waiting: Mapping[str, int]
    # Mails of which it is unknown whether they were sent.
    in_doubt: int
    # Queue (inbox, advance, deliver) -> since when its oldest due row is due; no entry without one.
    due_since: Mapping[str, Instant]

    def age(self, *, now: Instant) -> float:
        """Return for how many seconds the oldest due row of any queue has been due; 0 without one."""
        return max((now - since) / 1_000_000 for since in (now, *self.due_since.values()))


def measure_backlog(connection: sa.Connection, *, now: Instant) -> Backlog:
    """Return the work that waits. Mails of a lane that an operator paused, or all, count as not due."""
    depth = connection.scalar(sa.select(sa.func.count()).select_from(inbox)) or 0
    waiting = sa.select(messages.c.lane, sa.func.count()).where(_WAITING).group_by(messages.c.lane)
    doubt = sa.select(sa.func.count()).where(messages.c.status == sa.literal_column("'in_doubt'"))
    return Backlog(
        inbox_depth=depth,
        waiting=dict(tuple(row) for row in connection.execute(waiting)),
        in_doubt=connection.scalar(doubt) or 0,
        due_since=find_due_since(connection, now=now),
    )


def find_due_since(connection: sa.Connection, *, now: Instant) -> dict[str, Instant]:
    """Return queue -> since when its oldest due row is due, for those with one; paused mail counts as not due."""
    paused = set(connection.scalars(sa.select(switches.c.name).where(switches.c.paused)))
    due = sa.select(sa.func.min(messages.c.due_at)).where(_WAITING, messages.c.lane.not_in(paused))
    sleeping = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < FOREVER)
    oldest = {
        "inbox": connection.scalar(sa.select(inbox.c.received_at).order_by(inbox.c.id).limit(1)),
        "advance": connection.scalar(sa.select(sa.func.min(contacts.c.wake_at)).where(sleeping)),
        "deliver": None if "all" in paused else connection.scalar(due),
    }
    return {queue: since for queue, since in oldest.items() if since is not None and since <= now}


def count_due(connection: sa.Connection, *, now: Instant, limit: int = 100_000) -> dict[str, int]:
    """Return queue -> how many of its rows are due, at most `limit`."""
    sleeping = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < FOREVER)
    due = {
        "inbox": sa.select(inbox.c.id),
        "advance": sa.select(contacts.c.id).where(sleeping, contacts.c.wake_at <= now),
        "deliver": sa.select(messages.c.id).where(_WAITING, messages.c.due_at <= now),
    }
    counts = {}
    for queue, statement in due.items():
        some = statement.limit(limit).subquery()
        counts[queue] = connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return counts


def find_busy_shards(connection: sa.Connection) -> list[int]:
    """Return the shards with pending events."""
    pending = sa.exists(sa.select(inbox.c.id).where(inbox.c.shard == shards.c.id))
    return list(connection.scalars(sa.select(shards.c.id).where(pending).order_by(shards.c.id)))
