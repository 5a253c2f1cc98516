"""What became of letters, written once: the ledger, the attempts, and everything that follows from them.

Enters: outcomes of a transport. Leaves: settled messages and woken contacts, messages that wait for another
try, suppressed addresses, paused or resting lanes. One transaction for a window of outcomes, safe to repeat.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from nurture.consent import record
from nurture.contacts.queries import wake_contacts
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.delivery import lanes, send_gate_queries
from nurture.delivery.kept_bytes import sealed
from nurture.delivery.types import (
    DOUBTS_MAX,
    EVIDENCE_WAIT,
    SLOW_REST,
    UNREACHED_REST,
    Delivery,
    ReadyMessage,
)
from nurture.domain.backoff import next_try
from nurture.domain.counts import Counts
from nurture.domain.instant import FOREVER, Instant
from nurture.ledger.queries import lock_waiting_contacts
from nurture.runtime.clock import Clock
from nurture.transports.types import Outcome, OutgoingMail

#: Stages at which the conversation had not come to the message yet.
_UNREACHED = ("connect", "greeted")
#: Outcomes of which it counts how often a message had them.
_COUNTED = ("retry", "in_doubt")
#: Outcomes that settle a doubt, however late they are heard.
_EVIDENCE = ("sent", "failed")


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An outcome with the message and letter it is about, and when that passed the wire gate."""

    outcome: Outcome
    ready: ReadyMessage
    letter: OutgoingMail
    gate_at: Instant


def write(connection: sa.Connection, delivery: Delivery, lane: str, told: Sequence[AttemptResult]) -> Counts:
    """Write the outcomes; counts them by kind, and as `late` what another attempt had overtaken.

    Contacts are locked before messages, as everywhere. Only the worker's own attempt that is still on the wire
    is settled; where it was put in doubt meanwhile, `sent` and `failed` are evidence and settle it.
    """
    now = delivery.clock.now()
    again = [each.ready.id for each in told if each.outcome.outcome in _COUNTED]
    refusals = send_gate_queries.count_attempts(connection, again)
    rows = {each.ready.id: _row(each, refusals, now) for each in told}
    settled = [each.ready for each in told if rows[each.ready.id]["settled_at"] is not None]
    awaited = lock_waiting_contacts(connection, [_of_run(ready) for ready in settled if ready.awaited])
    for each in told:
        if each.outcome.suppress:
            _suppress(connection, delivery, each, now)
    written = send_gate_queries.settle(connection, list(rows.values()), worker=delivery.worker)
    evidence = [
        rows[each.ready.id]
        for each in told
        if each.ready.id not in written and each.outcome.outcome in _EVIDENCE
    ]
    written |= send_gate_queries.settle_doubt(connection, evidence)
    send_gate_queries.tell_attempts(connection, [_attempt(each, delivery.worker, now) for each in told])
    if awaited:
        wake_contacts(connection, awaited, at=now)
    pause_or_rest_lane(connection, lane, [each.outcome for each in told], now=now)
    return _count(told, written)


def _row(told: AttemptResult, refusals: Mapping[tuple[int, str], int], now: Instant) -> Row:
    """Return what the outcome makes of the message."""
    ready = told.ready
    row = {**row_for_outcome(told.outcome, ready, refusals, gate_at=told.gate_at, now=now), "context": None}
    # Where no run waits for it there is nobody to tell of the end.
    row["told"] = row["settled_at"] is not None and not ready.awaited
    if told.outcome.outcome == "retry":
        # The same bytes for every attempt, whatever becomes of the template meanwhile.
        row["context"] = encode(sealed(ready.context, told.letter.data))
    return row


class Mail(Protocol):
    """What is needed of a message to say what an outcome makes of it: a `Ready`, or a row of the ledger."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def purpose(self) -> str: ...  # noqa: D102
    @property
    def due_at(self) -> Instant: ...  # noqa: D102
    @property
    def valid_until(self) -> Instant: ...  # noqa: D102


def row_for_outcome(
    outcome: Outcome,
    mail: Mail,
    refusals: Mapping[tuple[int, str], int],
    *,
    gate_at: Instant | None,
    now: Instant,
) -> Row:
    """Return what an outcome makes of a message, as the columns of the ledger.

    refusals: `wire.count_attempts`, before this outcome. gate_at: when it passed the wire gate.
    """
    row: Row = {
        "id": mail.id,
        "attempt": outcome.attempt,
        "status": "waiting",
        "reason": "",
        "due_at": now,
        "settled_at": None,
        "sent_at": None,
    }
    match outcome.outcome:
        case "sent":
            row |= {"status": "sent", "due_at": mail.due_at, "settled_at": now, "sent_at": gate_at}
        case "failed":
            reason = "hard_bounce" if outcome.suppress else "refused"
            row |= {"status": "failed", "reason": reason, "due_at": mail.due_at, "settled_at": now}
        case "in_doubt":
            row |= row_in_doubt(mail.purpose, refusals.get((mail.id, "in_doubt"), 0) + 1, now)
            row["sent_at"] = gate_at
        case "retry":
            reached = outcome.stage not in _UNREACHED
            tries = refusals.get((mail.id, "retry"), 0) + 1
            due_at = next_try(mail.id, tries, now=now, asked=outcome.retry_after, reached=reached)
            row |= {"reason": "retry", "due_at": min(due_at, max(mail.valid_until, now))}
        case "lane_paused":
            row |= {"reason": "lane_paused"}
    return row


def row_in_doubt(purpose: str, doubts: int, now: Instant) -> Row:
    """Return what doubt makes of a message: marketing is settled by it, transactional waits for evidence.

    doubts: how often this message came to be in doubt, this time included.
    """
    if purpose == "transactional" and doubts < DOUBTS_MAX:
        return {"status": "in_doubt", "reason": "in_doubt", "due_at": now + EVIDENCE_WAIT, "settled_at": None}
    return {"status": "in_doubt", "reason": "in_doubt", "due_at": FOREVER, "settled_at": now}


def put_lapsed_in_doubt(connection: sa.Connection, clock: Clock, *, limit: int) -> int:
    """Put in doubt what is on the wire under a lapsed lease: its worker stopped, and nobody knows how far it got."""
    now, lease = clock.now(), clock.lease_now(connection)
    lapsed = send_gate_queries.lapsed_on_wire(connection, lease=lease, limit=limit)
    if not lapsed:
        return 0
    doubts = send_gate_queries.count_attempts(connection, [row.id for row in lapsed])
    rows = {
        row.id: {
            "id": row.id,
            "attempt": row.attempt,
            **row_in_doubt(row.purpose, doubts.get((row.id, "in_doubt"), 0) + 1, now),
        }
        for row in lapsed
    }
    keys = ("contact_id", "measure", "run_key")
    settled = [row for row in lapsed if rows[row.id]["settled_at"] is not None]
    awaited = lock_waiting_contacts(connection, [{key: getattr(row, key) for key in keys} for row in settled])
    written = send_gate_queries.doubt(connection, list(rows.values()), lease=lease)
    send_gate_queries.tell_attempts(
        connection,
        [
            {
                "message_id": row.id,
                "attempt": row.attempt,
                "at": now,
                "outcome": "in_doubt",
                # How far it got is not known; the final dot is the furthest it may have got unheard.
                "stage": "dot",
                "code": "",
                "reply": "the worker stopped before it wrote an outcome",
                "worker": row.lease_owner,
            }
            for row in lapsed
            if row.id in written
        ],
    )
    if awaited:
        wake_contacts(connection, awaited, at=now)
    return len(written)


def _attempt(told: AttemptResult, worker: str, now: Instant) -> Row:
    outcome = told.outcome
    return {
        "message_id": told.ready.id,
        "attempt": told.ready.attempt,
        "at": now,
        "outcome": outcome.outcome,
        "stage": outcome.stage,
        "code": outcome.code,
        "reply": _without(told.ready.address, outcome.reply),
        "worker": worker,
    }


def _without(address: str, reply: str) -> str:
    """Return a server's words without the address that most of them repeat: it is the contact's, not the log's."""
    if not address or address.lower() not in reply.lower():
        return reply
    return re.sub(re.escape(address), "ADDRESS", reply, flags=re.IGNORECASE)


def _suppress(connection: sa.Connection, delivery: Delivery, told: AttemptResult, now: Instant) -> None:
    record.suppress_address(
        connection,
        address=told.ready.address,
        scope="all",
        reason="hard_bounce",
        now=now,
        source="smtp",
        suppression_key=delivery.suppression_key,
    )


def pause_or_rest_lane(
    connection: sa.Connection, lane: str, told: Sequence[Outcome], *, now: Instant
) -> None:
    """Pause the lane when we are at fault; let it rest when it is asked to slow down or is not reached."""
    ours = [outcome for outcome in told if outcome.outcome == "lane_paused"]
    if ours:
        reason = f"{ours[0].stage}: {ours[0].code} {ours[0].reply}".strip()
        record.set_switch(connection, lane, paused=True, reason=reason, actor="deliver", now=now)
        return
    unreached = [
        outcome
        for outcome in told
        if outcome.outcome == "retry" and outcome.stage in _UNREACHED and outcome.retry_after != 0
    ]
    if any(outcome.slow for outcome in told):
        lanes.rest_lane(connection, lane, until=now + SLOW_REST)
    elif len(unreached) == len(told) > 0:
        lanes.rest_lane(connection, lane, until=now + UNREACHED_REST)


def _count(told: Sequence[AttemptResult], written: set[int]) -> Counts:
    counts = Counts()
    for each in told:
        counts[each.outcome.outcome if each.ready.id in written else "late"] += 1
    return counts


def _of_run(ready: ReadyMessage) -> Row:
    return {"contact_id": ready.owner_id, "measure": ready.measure, "run_key": ready.run_key}
