"""Run every room until nothing is due, without workers and queues: for simulations, demonstrations and tests.

The rooms run in the order in which an event passes them, by the same functions that workers call.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import sqlalchemy as sa

from nurture.contacts.queries import ALARMED
from nurture.database import schema as t
from nurture.database.bulk import list_text, relation_of_parameter
from nurture.database.engine import Database
from nurture.delivery.claim_queries import WAITING
from nurture.delivery.deliver import deliver, recover
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.errors import Transient
from nurture.domain.instant import FOREVER, Instant
from nurture.journey.accounts import hand_out_shared_events
from nurture.journey.adoption_queries import IS_ADOPTING
from nurture.journey.drain import adopt, drain, ring
from nurture.journey.objects import wake_watchers
from nurture.journey.published_values import announce_values
from nurture.transports.registry import Transport

#: After so many rounds an endless loop is assumed.
_ROUNDS_MAX = 20_000
#: Mails claimed in one batch.
_CHUNK = 500


def run_until_idle(database: Database, delivery: Delivery, lanes: Mapping[str, Transport]) -> Counts:
    """Run every room until nothing is due at the clock's present instant; return counts by outcome.

    Raises Transient after 20,000 rounds, and the errors of the rooms.
    """
    total = Counts()
    for _ in range(_ROUNDS_MAX):
        with database.read() as connection:
            waits = _waits(connection, delivery.clock.now(), lanes)
        done = _round(database, delivery, lanes, waits)
        total.update(done)
        if not done.more and not sum(done.values()):
            return total
    message = f"still something due after {_ROUNDS_MAX} rounds: {dict(total)}"
    raise Transient(message)


def _round(
    database: Database, delivery: Delivery, lanes: Mapping[str, Transport], waits: frozenset[str]
) -> Counts:
    """Run one batch of each room with work."""
    clock, playbooks = delivery.clock, delivery.playbooks
    done = Counts()
    if "inbox" in waits:
        # Drain all shards before delivery, for few large chunks of mail instead of many small ones.
        while (drained := drain(database, shard=None, clock=clock, playbooks=playbooks)).total():
            done.add(drained)
    if "wakes" in waits:
        done.add(wake_watchers(database, clock=clock, playbooks=playbooks))
    if "shares" in waits:
        done.add(hand_out_shared_events(database, clock=clock))
    if "values" in waits:
        done.add(announce_values(database, clock=clock))
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


def _waits(connection: sa.Connection, now: Instant, lanes: Iterable[str]) -> frozenset[str]:
    """Return the rooms with work, by one statement that reads one index entry a room, or one a lane."""
    of_waits, _ = _statements(connection.dialect.name)
    row = connection.execute(of_waits, {"at_now": now, "lanes": list_text([lane] for lane in lanes)}).one()
    return frozenset(name for name, waits in zip(_PARTS, row, strict=True) if waits)


_M = t.messages.c
_NOW = sa.bindparam("at_now", type_=sa.BigInteger)
# Literals, not parameters: only then does PostgreSQL use the partial indexes.
_LEASED = _M.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
_DOUBTED = _M.status == sa.literal_column("'in_doubt'")
_PARTS: Final = ("inbox", "wakes", "shares", "values", "adoption", "alarms", "messages", "leases", "doubts")


@lru_cache
def _statements(dialect: str) -> tuple[sa.Executable, sa.Executable]:
    """Return the statements of `_waits` and `next_due`; both take `lanes`, the first also `at_now`."""
    # The index of waiting messages begins with the lane, so each lane is looked up by itself.
    lanes = relation_of_parameter(dialect, [_M.lane], "lanes")
    mine = sa.and_(WAITING, _M.lane == lanes.c.lane)
    first = sa.select(sa.func.min(_M.due_at)).where(mine).correlate(lanes).scalar_subquery()
    waits = (
        sa.select(t.inbox.c.id),
        sa.select(t.object_wakes.c.id),
        sa.select(t.accounts.c.key).where(t.accounts.c.is_unread),
        sa.select(t.contact_values.c.contact_id).where(t.contact_values.c.is_waiting),
        sa.select(t.active_playbook.c.id).where(IS_ADOPTING),
        sa.select(t.contacts.c.id).where(ALARMED, t.contacts.c.wake_at <= _NOW),
        sa.select(_M.id).where(WAITING, _M.lane.in_(sa.select(lanes.c.lane)), _M.due_at <= _NOW),
        sa.select(_M.id).where(_LEASED, _M.lease_until <= _NOW),
        sa.select(_M.id).where(_DOUBTED, _M.due_at <= _NOW),
    )
    instants = (
        sa.select(sa.func.min(t.contacts.c.wake_at)).where(ALARMED),
        sa.select(sa.func.min(first)).select_from(lanes),
        sa.select(sa.func.min(_M.lease_until)).where(_LEASED),
        sa.select(sa.func.min(_M.due_at)).where(_DOUBTED),
        sa.select(sa.func.min(t.inbox.c.received_at)),
        sa.select(sa.func.min(t.object_wakes.c.occurred_at)),
    )
    return sa.select(*map(sa.exists, waits)), sa.select(*(instant.scalar_subquery() for instant in instants))


def next_due(connection: sa.Connection, lanes: Iterable[str]) -> Instant:
    """Return the earliest instant at which any room has work for these lanes; FOREVER without one."""
    _, of_instants = _statements(connection.dialect.name)
    row = connection.execute(of_instants, {"lanes": list_text([lane] for lane in lanes)}).one()
    return min((at for at in row if at is not None), default=FOREVER)
