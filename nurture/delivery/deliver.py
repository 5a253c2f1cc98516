"""Delivery: due messages of a lane through both gates and out of a transport.

Enters: waiting messages. `claim` (the chunk gate) guards and leases them, `Stream` renders and opens the wire
gate window by window, the transport speaks, `outcomes.write` settles. `recover` picks up what a worker left
behind. Any number of processes may do all of this at once; stopping one anywhere loses nothing and repeats no
marketing mail.
"""

from contextlib import closing

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery import outcomes, send_gate_queries
from nurture.delivery.claim import claim
from nurture.delivery.journal.recovery import mend, take_up, tidy
from nurture.delivery.journal.restore_detection import Watch, look, under_way, withhold
from nurture.delivery.send_gate import SendGate
from nurture.delivery.types import Chunk, Delivery
from nurture.domain.counts import Counts
from nurture.feedback.record import settle_doubts
from nurture.runtime.clock import Clock, monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.registry import Transport

__all__ = ["Chunk", "Delivery", "claim", "deliver", "recover", "recover_by_journal"]

#: Mails claimed together, unless the lane's rate allows fewer.
CHUNK_MAILS = 500
_TIDY_SECONDS = 3600.0


def deliver(
    database: Database, delivery: Delivery, *, lane: str, transport: Transport, limit: int = CHUNK_MAILS
) -> Counts:
    """Deliver up to `limit` due messages of the lane; returns counts by outcome.

    counts: those of the chunk gate (`claimed`, `ready`, `deferred`, `skipped`, `expired`, `cancelled`), of the
    wire gate (`changed`, `not_begun`, `template_broken`) and of the transport (`sent`, `retry`, `failed`,
    `in_doubt`, `lane_paused`, `late`). `more`: come again at once.
    """
    mended = mend(database, delivery, lane)
    chunk = claim(database, delivery, lane=lane, limit=limit)
    withhold(database, delivery, chunk)
    if not chunk.ready:
        return chunk.counts
    failpoint("claim.committed")
    stream = SendGate(database, delivery, chunk)
    # Also when the transport breaks off: what was heard is written, what was not begun goes back.
    with under_way(database, delivery, lane), closing(stream), stream.outcome_writer as outcome_writer:
        for outcome in transport.send(stream.letters()):
            outcome_writer.take(outcome)
    chunk.counts.update(mended)
    if chunk.counts["lane_paused"]:
        chunk.counts.more = False
    return chunk.counts


def recover_by_journal(database: Database, delivery: Delivery, watch: Watch) -> Counts:
    """Take up what the journals of this machine tell; before `recover`, which knows only that a lease lapsed.

    counts: those of `recovery.take_up` and `restore_detection.look`. Once an hour files that nobody needs go.
    """
    if delivery.journal is None:
        return Counts()
    delivery.journal.sync()
    counts = look(database, delivery, watch)
    counts.add(take_up(database, delivery))
    if monotonic() - watch.tidied_at > _TIDY_SECONDS:
        watch.tidied_at = monotonic()
        if removed := tidy(database, delivery, keep=watch.keep):
            counts["removed"] += removed
    return counts


def recover(database: Database, *, clock: Clock, limit: int = 500) -> Counts:
    """Pick up what stopped workers left: four small transactions, each bounded by `limit`.

    counts: `freed` (leased, not on the wire: waiting again), `in_doubt` (on the wire without an outcome),
    `settled` (in doubt, and reported about from outside before that was known),
    `retried` (transactional, in doubt for ten minutes without evidence: waiting again).
    """
    counts = Counts()

    def free(connection: sa.Connection) -> int:
        lease = clock.lease_now(connection)
        freed = send_gate_queries.free_lapsed(connection, lease=lease, now=clock.now(), limit=limit)
        failpoint("recover.freed")
        return freed

    counts["freed"] = database.run(free)
    counts["in_doubt"] = database.run(
        lambda connection: outcomes.put_lapsed_in_doubt(connection, clock, limit=limit)
    )
    counts["settled"] = database.run(
        lambda connection: settle_doubts(connection, now=clock.now(), limit=limit)
    )
    counts["retried"] = database.run(
        lambda connection: send_gate_queries.retry_doubted(connection, now=clock.now(), limit=limit)
    )
    counts.more = max(counts.values()) >= limit
    return counts
