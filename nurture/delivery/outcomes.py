"""Outcomes of sent mails, written to the ledger with everything that follows from them.

A transport's outcomes become settled messages, woken contacts, messages that wait for another attempt, suppressed
addresses, and paused or resting lanes. One transaction for a window of outcomes; repeating it changes nothing.
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
from nurture.delivery.kept_bytes import keep_bytes
from nurture.delivery.types import (
    DOUBTS_MAX,
    EVIDENCE_WAIT,
    SLOW_REST,
    UNREACHED_REST,
    Delivery,
    ReadyMessage,
)
from nurture.domain.backoff import compute_next_try
from nurture.domain.counts import Counts
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.measure import MARKETING_SWITCH
from nurture.domain.pace.domain_rests import Heard, domain_of, find_who_rests
from nurture.domain.pace.lane_doubts import DoubtSign, judge_doubts
from nurture.health import queries as health
from nurture.ledger.queries import lock_waiting_contacts, run_row
from nurture.runtime.clock import Clock
from nurture.transports.types import Outcome, OutgoingMail

#: Stages before the server was given any command about the message.
_UNREACHED = ("connect", "greeted")
#: Outcomes that are counted for each message.
_COUNTED = ("retry", "in_doubt")
#: Outcomes that settle a message in doubt, however late they come.
_EVIDENCE = ("sent", "failed")


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An outcome with its message and mail, and the instant at which the mail passed the send gate."""

    outcome: Outcome
    ready: ReadyMessage
    mail: OutgoingMail
    gate_at: Instant


class SentMessage(Protocol):
    """The fields of a message that decide what its outcome means: a `ReadyMessage`, or a row of the ledger."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def purpose(self) -> str: ...  # noqa: D102
    @property
    def due_at(self) -> Instant: ...  # noqa: D102
    @property
    def valid_until(self) -> Instant: ...  # noqa: D102


def write_outcomes(
    connection: sa.Connection, delivery: Delivery, lane: str, results: Sequence[AttemptResult]
) -> Counts:
    """Write the outcomes; return counts by outcome, and as `late` those that a later attempt had overtaken.

    Locks contacts before messages. It settles only the worker's own attempt that is still on the wire. Where that was
    put in doubt meanwhile, `sent` and `failed` are evidence and settle it.
    """
    now = delivery.clock.now()
    counted = [result.ready.id for result in results if result.outcome.outcome in _COUNTED]
    earlier = send_gate_queries.count_attempts(connection, counted)
    rows = {result.ready.id: _ledger_row(result, earlier, now) for result in results}
    waiting = lock_waiting_contacts(
        connection,
        [
            result.ready.run_row
            for result in results
            if result.ready.has_waiting_run and rows[result.ready.id]["settled_at"] is not None
        ],
    )
    for result in results:
        if result.outcome.suppress:
            suppress_hard_bounce(connection, delivery, result.ready.address, now=now)
    written = send_gate_queries.settle_attempts(
        connection, list(rows.values()), worker=delivery.worker, now=now
    )
    evidence = [
        rows[result.ready.id]
        for result in results
        if result.ready.id not in written and result.outcome.outcome in _EVIDENCE
    ]
    written |= send_gate_queries.settle_attempts_in_doubt(connection, evidence)
    send_gate_queries.append_attempts(
        connection,
        [
            attempt_row(result.outcome, at=now, worker=delivery.worker, address=result.ready.address)
            for result in results
        ],
    )
    if waiting:
        wake_contacts(connection, waiting, at=now)
    outcomes = [result.outcome for result in results]
    pause_doubtful_lane(connection, delivery.clock, lane, outcomes, earlier)
    is_lane, domains = find_who_rests(
        Heard(
            domain_of(result.ready.address),
            result.outcome.stage,
            was_sent=result.outcome.outcome == "sent",
            slow=result.outcome.slow,
        )
        for result in results
    )
    pause_or_rest_lane(connection, lane, outcomes, now=now, is_slow=is_lane)
    lanes.rest_domains(connection, lane, domains, now=now)
    return _count_outcomes(results, written)


def _ledger_row(result: AttemptResult, earlier: Mapping[tuple[int, str], int], now: Instant) -> Row:
    """Return the message's row after its outcome."""
    ready = result.ready
    row = {
        **row_for_outcome(result.outcome, ready, earlier, gate_at=result.gate_at, now=now),
        "context": None,
    }
    # Where no run waits for the message, no run is to learn of its end.
    row["told"] = row["settled_at"] is not None and not ready.has_waiting_run
    if result.outcome.outcome == "retry":
        # Every attempt sends the same bytes, although the template may change meanwhile.
        row["context"] = encode(keep_bytes(ready.context, result.mail.data))
    return row


def row_for_outcome(
    outcome: Outcome,
    message: SentMessage,
    earlier: Mapping[tuple[int, str], int],
    *,
    gate_at: Instant | None,
    now: Instant,
) -> Row:
    """Return the columns of the ledger after an outcome.

    earlier: (message, outcome) -> how many attempts ended so before (`send_gate_queries.count_attempts`).
    gate_at: when the mail passed the send gate.
    """
    row: Row = {
        "id": message.id,
        "attempt": outcome.attempt,
        "status": "waiting",
        "reason": "",
        "due_at": now,
        "settled_at": None,
        "sent_at": None,
    }
    match outcome.outcome:
        case "sent":
            row |= {"status": "sent", "due_at": message.due_at, "settled_at": now, "sent_at": gate_at}
        case "failed":
            reason = "hard_bounce" if outcome.suppress else "refused"
            row |= {"status": "failed", "reason": reason, "due_at": message.due_at, "settled_at": now}
        case "in_doubt":
            row |= columns_in_doubt(message.purpose, earlier.get((message.id, "in_doubt"), 0) + 1, now)
            row["sent_at"] = gate_at
        case "retry":
            reached = outcome.stage not in _UNREACHED
            tries = earlier.get((message.id, "retry"), 0) + 1
            due_at = compute_next_try(message.id, tries, now=now, asked=outcome.retry_after, reached=reached)
            row |= {"reason": "retry", "due_at": min(due_at, max(message.valid_until, now))}
        case "lane_paused":
            row |= {"reason": "lane_paused"}
    return row


def columns_in_doubt(purpose: str, doubts: int, now: Instant) -> Row:
    """Return the columns of a message in doubt: marketing is settled by it, transactional waits for evidence.

    doubts: how many attempts of this message ended in doubt, this one included.
    """
    if purpose == "transactional" and doubts < DOUBTS_MAX:
        return {"status": "in_doubt", "reason": "in_doubt", "due_at": now + EVIDENCE_WAIT, "settled_at": None}
    return {"status": "in_doubt", "reason": "in_doubt", "due_at": FOREVER, "settled_at": now}


def suppress_hard_bounce(
    connection: sa.Connection, delivery: Delivery, address: str, *, now: Instant
) -> None:
    """Suppress an address that its mail server says does not exist."""
    record.suppress_address(
        connection,
        address=address,
        scope="all",
        reason="hard_bounce",
        now=now,
        source="smtp",
        suppression_key=delivery.suppression_key,
    )


def pause_or_rest_lane(
    connection: sa.Connection, lane: str, outcomes: Sequence[Outcome], *, now: Instant, is_slow: bool
) -> None:
    """Pause the lane when we are at fault; let it rest when (is_slow) the server asks for that or cannot be reached."""
    ours = [outcome for outcome in outcomes if outcome.outcome == "lane_paused"]
    if ours:
        reason = f"{ours[0].stage}: {ours[0].code} {ours[0].reply}".strip()
        record.set_switch(connection, lane, paused=True, reason=reason, actor="deliver", now=now)
        return
    unreached = [
        outcome
        for outcome in outcomes
        if outcome.outcome == "retry" and outcome.stage in _UNREACHED and outcome.retry_after != 0
    ]
    if is_slow:
        lanes.rest_lane(connection, lane, until=now + SLOW_REST)
    elif len(unreached) == len(outcomes) > 0:
        lanes.rest_lane(connection, lane, until=now + UNREACHED_REST)


def pause_doubtful_lane(
    connection: sa.Connection,
    clock: Clock,
    lane: str,
    outcomes: Sequence[Outcome],
    earlier: Mapping[tuple[int, str], int],
) -> None:
    """Let a lane rest, then pause its marketing mail, while its server leaves every mail in doubt.

    earlier: as in `row_for_outcome`.
    """
    doubtful = [outcome for outcome in outcomes if outcome.outcome == "in_doubt"]
    if not doubtful:
        return
    signs = [
        DoubtSign(
            outcome.outcome == "in_doubt",
            outcome.outcome == "retry" and (outcome.retry_after == 0 or outcome.stage in _UNREACHED),
            not earlier.get((outcome.message_id, "in_doubt")),
        )
        for outcome in outcomes
    ]
    stage, failing_since = health.load_failure(connection, lane)
    judged = judge_doubts(signs, stage=stage, failing_since=failing_since, now=clock.lease_now(connection))
    if judged == "go on":
        return
    now = clock.now()
    lanes.rest_lane(connection, lane, until=now + UNREACHED_REST)
    if judged == "pause":
        words = doubtful[0].reply or "no reply"
        reason = f"every mail ends in doubt, because the server does not answer its final dot: {words}"
        name = lane + MARKETING_SWITCH
        record.set_switch(connection, name, paused=True, reason=reason, actor="deliver", now=now)


def attempt_row(outcome: Outcome, *, at: Instant, worker: str, address: str = "") -> Row:
    """Return the row of `attempts` for an outcome, its reply without the address.

    Most servers repeat the recipient's address; it belongs to the contact, which may be erased, and not to a log.
    """
    reply = outcome.reply
    if address and address.lower() in reply.lower():
        reply = re.sub(re.escape(address), "ADDRESS", reply, flags=re.IGNORECASE)
    return {
        "message_id": outcome.message_id,
        "attempt": outcome.attempt,
        "at": at,
        "outcome": outcome.outcome,
        "stage": outcome.stage,
        "code": outcome.code,
        "reply": reply,
        "worker": worker,
    }


def _count_outcomes(results: Sequence[AttemptResult], written: set[int]) -> Counts:
    counts = Counts()
    for result in results:
        counts[result.outcome.outcome if result.ready.id in written else "late"] += 1
    return counts


# ---- lapsed leases ---------------------------------------------------------------------------------------


def put_lapsed_in_doubt(connection: sa.Connection, clock: Clock, *, limit: int) -> int:
    """Put messages in doubt that are on the wire under a lapsed lease; return how many.

    Their worker stopped, so it is unknown how far each mail got.
    """
    now, lease = clock.now(), clock.lease_now(connection)
    lapsed = send_gate_queries.find_lapsed_on_wire(connection, lease=lease, limit=limit)
    if not lapsed:
        return 0
    earlier = send_gate_queries.count_attempts(connection, [row.id for row in lapsed])
    rows = {
        row.id: {
            "id": row.id,
            "attempt": row.attempt,
            **columns_in_doubt(row.purpose, earlier.get((row.id, "in_doubt"), 0) + 1, now),
        }
        for row in lapsed
    }
    settled = [row for row in lapsed if rows[row.id]["settled_at"] is not None]
    waiting = lock_waiting_contacts(connection, [run_row(row) for row in settled])
    written = send_gate_queries.mark_in_doubt(connection, list(rows.values()), lease=lease, now=now)
    # The final dot is the furthest a mail may have got without a reply that was read.
    text = "the worker stopped before it wrote an outcome"
    send_gate_queries.append_attempts(
        connection,
        [
            attempt_row(
                Outcome(row.id, row.attempt, "in_doubt", "dot", "", text), at=now, worker=row.lease_owner
            )
            for row in lapsed
            if row.id in written
        ],
    )
    if waiting:
        wake_contacts(connection, waiting, at=now)
    return len(written)
