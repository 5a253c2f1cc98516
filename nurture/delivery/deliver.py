"""Delivery: due messages of a lane, through the guard and the send gate, out of a transport.

`claim` guards and leases waiting messages; `SendGate` renders them and opens window by window; the transport sends;
`OutcomeWriter` writes the outcomes. `recover` settles what a stopped worker left. Any number of processes may do all
of this at once. Stopping one at any point loses no message and repeats no marketing mail.
"""

from contextlib import closing

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery import send_gate_queries
from nurture.delivery.claim import claim
from nurture.delivery.journal.recovery import (
    recover_journals,
    remove_finished_files,
    settle_broken_delivery,
)
from nurture.delivery.journal.restore_detection import (
    JournalProgress,
    detect_restore,
    mark_lane_busy,
    settle_left_before_restore,
)
from nurture.delivery.outcomes import put_lapsed_in_doubt
from nurture.delivery.send_gate import SendGate
from nurture.delivery.types import Chunk, Delivery
from nurture.domain.counts import Counts
from nurture.feedback.effects import settle_doubts
from nurture.runtime.clock import Clock, monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.registry import Transport

__all__ = ["Chunk", "Delivery", "claim", "deliver", "recover", "recover_by_journal"]

#: Mails claimed together, unless the lane's rate allows fewer.
CHUNK_MAILS = 500
_REMOVE_FILES_SECONDS = 3600.0


def deliver(
    database: Database,
    delivery: Delivery,
    *,
    lane: str,
    transport: Transport,
    limit: int = CHUNK_MAILS,
    only: int | None = None,
) -> Counts:
    """Deliver up to `limit` due messages of the lane, (only) of one class; return counts by outcome.

    counts: those of `claim` (`claimed`, `ready`, `deferred`, `skipped`, `expired`, `cancelled`), of the send gate
    (`changed`, `not_begun`, `template_broken`) and of the transport (`sent`, `retry`, `failed`, `in_doubt`,
    `lane_paused`, `late`). `more` is true when the caller should call again at once.
    """
    settled = settle_broken_delivery(database, delivery, lane)
    chunk = claim(database, delivery, lane=lane, limit=limit, only=only)
    settle_left_before_restore(database, delivery, chunk)
    if not chunk.ready:
        return chunk.counts
    failpoint("claim.committed")
    gate = SendGate(database, delivery, chunk)
    # Also when the transport raises, known outcomes are written and messages that were not begun go back.
    with mark_lane_busy(database, delivery, lane), closing(gate), gate.outcome_writer as writer:
        for outcome in transport.send(gate.mails()):
            writer.add(outcome)
    chunk.counts.update(settled)
    if chunk.counts["lane_paused"]:
        chunk.counts.more = False
    return chunk.counts


def recover_by_journal(database: Database, delivery: Delivery, progress: JournalProgress) -> Counts:
    """Settle what the journals of this machine tell about stopped processes; call it before `recover`.

    `recover` knows only that a lease has lapsed, a journal knows how far each mail got. counts: those of
    `recovery.recover_journals` and `restore_detection.detect_restore`, and `removed`: files removed, once an hour.
    """
    if delivery.journal is None:
        return Counts()
    delivery.journal.sync()
    counts = detect_restore(database, delivery, progress)
    counts.add(recover_journals(database, delivery))
    if monotonic() - progress.files_removed_at > _REMOVE_FILES_SECONDS:
        progress.files_removed_at = monotonic()
        if removed := remove_finished_files(database, delivery, keep=progress.keep):
            counts["removed"] += removed
    return counts


def recover(database: Database, *, clock: Clock, limit: int = 500) -> Counts:
    """Settle messages that stopped workers left: four small transactions, each bounded by `limit`.

    counts: `freed` (leased, not on the wire: waiting again), `in_doubt` (on the wire without an outcome),
    `settled` (in doubt, and a report about it had come before that was known),
    `retried` (transactional, in doubt for ten minutes without evidence: waiting again).
    """
    counts = Counts()

    def release(connection: sa.Connection) -> int:
        lease = clock.lease_now(connection)
        released = send_gate_queries.release_lapsed_leases(
            connection, lease=lease, now=clock.now(), limit=limit
        )
        failpoint("recover.freed")
        return released

    counts["freed"] = database.run(release)
    counts["in_doubt"] = database.run(lambda connection: put_lapsed_in_doubt(connection, clock, limit=limit))
    counts["settled"] = database.run(
        lambda connection: settle_doubts(connection, now=clock.now(), limit=limit)
    )
    counts["retried"] = database.run(
        lambda connection: send_gate_queries.retry_in_doubt(connection, now=clock.now(), limit=limit)
    )
    counts.more = max(counts.values()) >= limit
    return counts
