"""What a journal proves about mails, written to the ledger.

Enters: how far attempts got, as journals tell it. Leaves: settled messages, doubts, mails that are due again. One
transaction a batch; repeating it changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.consent import record
from nurture.contacts.queries import wake_contacts
from nurture.delivery import send_gate_queries
from nurture.delivery.journal import queries
from nurture.delivery.journal.file_format import Entry
from nurture.delivery.outcomes import pause_or_rest_lane, row_for_outcome
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.instant import Instant
from nurture.ledger.queries import lock_waiting_contacts
from nurture.transports.smtp.replies import judge, read_reply
from nurture.transports.types import Outcome

#: What settles a mail, whoever holds it.
_SETTLING = ("sent", "failed")


@dataclass(frozen=True, slots=True)
class Found:
    """An attempt's end as a journal tells it, beside the message's row (`delivery.journal.queries.by_id`)."""

    row: Any
    outcome: Outcome
    gate_at: Instant


def outcome_of(entry: Entry) -> Outcome | None:
    """Return what an entry proves; None: its final dot was never written."""
    passed = entry.passed
    if not entry.begun:
        return None
    if entry.reply is None:
        text = "the process stopped before it read the reply"
        return Outcome(passed.message_id, passed.attempt, "in_doubt", "dot", "", text)
    reply = read_reply([entry.reply.encode()])
    judged = judge("replied", reply)
    return Outcome(
        passed.message_id,
        passed.attempt,
        judged.outcome,
        "replied",
        code=reply.shown,
        reply=f"{reply.text} (from the journal)".strip(),
        suppress=judged.suppress,
        slow=judged.slow,
        retry_after=judged.retry_after,
    )


def conclude(
    connection: sa.Connection,
    delivery: Delivery,
    found: Sequence[Found],
    *,
    owner: str,
    restored: bool = False,
) -> Counts:
    """Write what was found; counts by outcome what was news.

    owner: the worker whose attempts these were. restored: the database went back, so what may have left is put
    in doubt whoever holds it, and refusals for now count for nothing. Locks contacts before messages.
    """
    now = delivery.clock.now()
    refusals = send_gate_queries.count_attempts(connection, [each.row.id for each in found])
    rows = {
        each.row.id: row_for_outcome(each.outcome, each.row, refusals, gate_at=each.gate_at, now=now)
        for each in found
    }
    settled = [_of_run(each.row) for each in found if rows[each.row.id]["settled_at"] is not None]
    awaited = lock_waiting_contacts(connection, settled)
    for each in found:
        if each.outcome.suppress and each.row.email:
            record.suppress_address(
                connection,
                address=each.row.email,
                scope="all",
                reason="hard_bounce",
                now=now,
                source="smtp",
                suppression_key=delivery.suppression_key,
            )
    written = queries.settle_found(connection, [rows[each.row.id] for each in _of(found, _SETTLING)])
    doubts = [rows[each.row.id] for each in _of(found, ("in_doubt",))]
    later = [rows[each.row.id] for each in _of(found, ("retry", "lane_paused"))]
    if restored:
        written |= queries.doubt_found(connection, doubts)
    else:
        written |= queries.hold_found(connection, [*doubts, *later], owner=owner)
    news = [each for each in found if each.row.id in written]
    send_gate_queries.tell_attempts(connection, [_attempt(each.outcome, owner, now) for each in news])
    if awaited:
        wake_contacts(connection, awaited, at=now)
    if not restored:
        for lane in {each.row.lane for each in news}:
            outcomes = [each.outcome for each in news if each.row.lane == lane]
            pause_or_rest_lane(connection, lane, outcomes, now=now)
    counts = Counts()
    for each in news:
        counts[each.outcome.outcome] += 1
    return counts


def _of(found: Iterable[Found], kinds: Sequence[str]) -> list[Found]:
    return [each for each in found if each.outcome.outcome in kinds]


def _of_run(row: Any) -> dict[str, Any]:
    return {"contact_id": row.contact_id, "measure": row.measure, "run_key": row.run_key}


def _attempt(outcome: Outcome, owner: str, now: Instant) -> dict[str, Any]:
    return {
        "message_id": outcome.message_id,
        "attempt": outcome.attempt,
        "at": now,
        "outcome": outcome.outcome,
        "stage": outcome.stage,
        "code": outcome.code,
        "reply": outcome.reply,
        "worker": owner,
    }
