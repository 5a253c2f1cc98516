"""One turn of every room until nothing is due: what workers do all the time, done once and to the end.

Used where there is no queue in between: simulation, demonstrations, tests. The order is the way of an event;
each room's own function is the same one that the workers call.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from nurture.domain.counts import Counts
from nurture.domain.errors import Transient
from nurture.domain.instant import FOREVER, Instant
from nurture.flow.deliver import deliver, recover
from nurture.flow.delivery import Delivery
from nurture.flow.drain import adopt, drain, ring
from nurture.flow.objects import wake_watchers
from nurture.mail.transport import Transport
from nurture.store import tables as t
from nurture.store.database import Database
from nurture.store.outbox import WAITING

#: Rounds in one turn before it must be going in circles.
_ROUNDS_MAX = 20_000
#: Mails claimed at a time.
_CHUNK = 500


def turn(database: Database, delivery: Delivery, lanes: Mapping[str, Transport]) -> Counts:
    """Let every room work until nothing is due at the clock's present instant; returns counts by outcome.

    Raises Transient when that never comes, and what the rooms raise.
    """
    total = Counts()
    for _ in range(_ROUNDS_MAX):
        with database.read() as connection:
            waits = _waits(connection, delivery.clock.now())
        done = _round(database, delivery, lanes, waits)
        total.update(done)
        if not done.more and not sum(done.values()):
            return total
    message = f"still something due after {_ROUNDS_MAX} rounds: {dict(total)}"
    raise Transient(message)


def _round(
    database: Database, delivery: Delivery, lanes: Mapping[str, Transport], waits: frozenset[str]
) -> Counts:
    """Give each room that has something waiting one batch."""
    clock, playbooks = delivery.clock, delivery.playbooks
    done = Counts()
    if "inbox" in waits:
        done.add(drain(database, shard=None, clock=clock, playbooks=playbooks))
    if "wakes" in waits:
        done.add(wake_watchers(database, clock=clock, playbooks=playbooks))
    if "adoption" in waits:
        done.add(adopt(database, clock=clock, playbooks=playbooks))
    if "alarms" in waits:
        done.add(ring(database, clock=clock, playbooks=playbooks))
    if "messages" in waits:
        for lane, transport in lanes.items():
            done.add(deliver(database, delivery, lane=lane, transport=transport, limit=_CHUNK))
    if "leases" in waits or "doubts" in waits:
        done.add(recover(database, clock=clock))
    return done


def _waits(connection: sa.Connection, now: Instant) -> frozenset[str]:
    """Return the rooms that have something waiting; one statement, each part one index entry."""
    row = connection.execute(_WAITS, {"at_now": now}).one()
    return frozenset(name for name, waits in zip(_PARTS, row, strict=True) if waits)


_M = t.messages.c
_NOW = sa.bindparam("at_now", type_=sa.BigInteger)
_LIVING = t.contacts.c.survivor.is_(None)
# Spelt out, not bound: only so are the partial indexes used.
_LEASED = _M.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
_DOUBTED = _M.status == sa.literal_column("'in_doubt'")
_PARTS: Final = {
    "inbox": sa.select(t.inbox.c.id),
    "wakes": sa.select(t.object_wakes.c.id),
    "adoption": sa.select(t.active_playbook.c.id).where(
        t.active_playbook.c.woken < sa.select(sa.func.max(t.contacts.c.id)).scalar_subquery()
    ),
    "alarms": sa.select(t.contacts.c.id).where(_LIVING, t.contacts.c.wake_at <= _NOW),
    "messages": sa.select(_M.id).where(WAITING, _M.due_at <= _NOW),
    "leases": sa.select(_M.id).where(_LEASED, _M.lease_until <= _NOW),
    "doubts": sa.select(_M.id).where(_DOUBTED, _M.due_at <= _NOW),
}
_WAITS: Final = sa.select(*(sa.exists(part).label(name) for name, part in _PARTS.items()))
_INSTANTS: Final = (
    sa.select(sa.func.min(t.contacts.c.wake_at)).where(_LIVING),
    sa.select(sa.func.min(_M.due_at)).where(WAITING),
    sa.select(sa.func.min(_M.lease_until)).where(_LEASED),
    sa.select(sa.func.min(t.inbox.c.received_at)),
    sa.select(sa.func.min(t.object_wakes.c.occurred_at)),
)
_NEXT_DUE: Final = sa.select(*(one.scalar_subquery() for one in _INSTANTS))


def next_due(connection: sa.Connection) -> Instant:
    """Return the earliest instant at which any room has something to do; FOREVER when never."""
    row = connection.execute(_NEXT_DUE).one()
    return min((at for at in row if at is not None), default=FOREVER)
