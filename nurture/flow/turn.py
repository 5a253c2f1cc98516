"""One turn of every room until nothing is due: what workers do all the time, done once and to the end.

Used where there is no queue in between: simulation, demonstrations, tests. The order is the way of an event;
each room's own function is the same one that the workers call.
"""

from collections.abc import Mapping

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
        done = _round(database, delivery, lanes)
        total.update(done)
        if not done.more and not sum(done.values()):
            return total
    message = f"still something due after {_ROUNDS_MAX} rounds: {dict(total)}"
    raise Transient(message)


def _round(database: Database, delivery: Delivery, lanes: Mapping[str, Transport]) -> Counts:
    """Give each room one batch."""
    clock, playbooks = delivery.clock, delivery.playbooks
    done = drain(database, shard=None, clock=clock, playbooks=playbooks)
    done.add(wake_watchers(database, clock=clock, playbooks=playbooks))
    done.add(adopt(database, clock=clock, playbooks=playbooks))
    done.add(ring(database, clock=clock, playbooks=playbooks))
    for lane, transport in lanes.items():
        done.add(deliver(database, delivery, lane=lane, transport=transport, limit=_CHUNK))
    if not sum(done.values()):
        done.add(recover(database, clock=clock))
    return done


def next_due(connection: sa.Connection) -> Instant:
    """Return the earliest instant at which any room has something to do; FOREVER when never."""
    instants = (
        sa.select(sa.func.min(t.contacts.c.wake_at)).where(t.contacts.c.survivor.is_(None)),
        sa.select(sa.func.min(t.messages.c.due_at)).where(t.messages.c.status == "waiting"),
        sa.select(sa.func.min(t.messages.c.lease_until)).where(t.messages.c.status.in_(("ready", "on_wire"))),
        sa.select(sa.func.min(t.inbox.c.received_at)),
        sa.select(sa.func.min(t.object_wakes.c.occurred_at)),
    )
    row = connection.execute(sa.select(*(one.scalar_subquery() for one in instants))).one()
    return min((at for at in row if at is not None), default=FOREVER)
