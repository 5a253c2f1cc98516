"""Measure how much work waits and since when, for the health check and the gauges. Read-only, by index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.contacts.inbox_queries import BULK
from nurture.database.schema import contacts, inbox, messages, shards, switches
from nurture.domain.instant import FOREVER, Instant

#: The queues: events and mails that are urgent apart from the bulk of imports, sends and marketing.
QUEUES: Final = ("inbox", "inbox_bulk", "advance", "deliver", "deliver_marketing")
_BULK = inbox.c.shard >= BULK.start
# A literal, so that grouping by it repeats the expression.
_IS_MARKETING: sa.ColumnElement[int] = sa.literal_column(
    "CASE WHEN messages.purpose IN ('transactional', 'service') THEN 0 ELSE 1 END", sa.Integer
)
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
    # Queue (of `QUEUES`) -> since when its oldest due row is due; no entry without one.
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
    sleeping = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < FOREVER)
    bulk = sa.select(inbox.c.received_at).where(_BULK).order_by(inbox.c.id).limit(1)
    oldest = {
        "inbox": connection.scalar(sa.select(sa.func.min(inbox.c.received_at)).where(~_BULK)),
        "inbox_bulk": connection.scalar(bulk),
        "advance": connection.scalar(sa.select(sa.func.min(contacts.c.wake_at)).where(sleeping)),
    }
    if "all" not in paused:
        due = sa.select(_IS_MARKETING, sa.func.min(messages.c.due_at)).where(
            _WAITING, messages.c.lane.not_in(paused)
        )
        for is_marketing, since in connection.execute(due.group_by(_IS_MARKETING)):
            oldest["deliver_marketing" if is_marketing else "deliver"] = since
    return {queue: since for queue, since in oldest.items() if since is not None and since <= now}


def count_due(connection: sa.Connection, *, now: Instant, limit: int = 100_000) -> dict[str, int]:
    """Return queue -> how many of its rows are due, at most `limit`."""
    sleeping = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < FOREVER)
    waiting = sa.select(messages.c.id).where(_WAITING, messages.c.due_at <= now)
    due = {
        "inbox": sa.select(inbox.c.id).where(~_BULK),
        "inbox_bulk": sa.select(inbox.c.id).where(_BULK),
        "advance": sa.select(contacts.c.id).where(sleeping, contacts.c.wake_at <= now),
        "deliver": waiting.where(_IS_MARKETING == 0),
        "deliver_marketing": waiting.where(_IS_MARKETING == 1),
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
