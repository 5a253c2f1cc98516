"""Outcomes that journals prove, written to the ledger.

The entries of a journal become outcomes; those become settled messages, messages in doubt, and messages that are due
again. One transaction a batch; repeating it changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.contacts.queries import wake_contacts
from nurture.database.bulk import Row
from nurture.delivery import send_gate_queries
from nurture.delivery.journal import queries as journal_queries
from nurture.delivery.journal.file_format import JournalEntry
from nurture.delivery.outcomes import (
    attempt_row,
    pause_or_rest_lane,
    row_for_outcome,
    suppress_hard_bounce,
)
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.instant import Instant
from nurture.ledger.queries import lock_waiting_contacts, run_row
from nurture.transports.smtp.replies import interpret_reply, parse_reply
from nurture.transports.types import Outcome, Result

#: Outcomes that settle a message under any worker's lease.
_SETTLING: tuple[Result, ...] = ("sent", "failed")


@dataclass(frozen=True, slots=True)
class JournalOutcome:
    """The end of an attempt as a journal tells it, with the message's row (`journal.queries.load_messages`)."""

    row: Any
    outcome: Outcome
    gate_at: Instant


def outcome_from_entry(entry: JournalEntry) -> Outcome | None:
    """Return the outcome that an entry proves, None when its final dot was never written."""
    mail = entry.mail
    if not entry.begun:
        return None
    if entry.reply is None:
        text = "the process stopped before it read the reply"
        return Outcome(mail.message_id, mail.attempt, "in_doubt", "dot", "", text)
    reply = parse_reply([entry.reply.encode()])
    meaning = interpret_reply("replied", reply)
    return Outcome(
        mail.message_id,
        mail.attempt,
        meaning.outcome,
        "replied",
        code=reply.shown,
        reply=f"{reply.text} (from the journal)".strip(),
        suppress=meaning.suppress,
        slow=meaning.slow,
        retry_after=meaning.retry_after,
    )


def write_journal_outcomes(
    connection: sa.Connection,
    delivery: Delivery,
    journal_outcomes: Sequence[JournalOutcome],
    *,
    owner: str,
    restored: bool = False,
) -> Counts:
    """Write outcomes that a journal proves; return counts by outcome of those that were new.

    owner: the worker that made the attempts. restored: the database was restored, so mails that may have left are put
    in doubt under any worker's lease, and 4yz replies count for nothing. Locks contacts before messages.
    """
    now = delivery.clock.now()
    earlier = send_gate_queries.count_attempts(connection, [item.row.id for item in journal_outcomes])
    rows = {
        item.row.id: row_for_outcome(item.outcome, item.row, earlier, gate_at=item.gate_at, now=now)
        for item in journal_outcomes
    }
    settled = [item.row for item in journal_outcomes if rows[item.row.id]["settled_at"] is not None]
    waiting = lock_waiting_contacts(connection, [run_row(row) for row in settled])
    for item in journal_outcomes:
        if item.outcome.suppress and item.row.email:
            suppress_hard_bounce(connection, delivery, item.row.email, now=now)
    written = _write_rows(connection, journal_outcomes, rows, owner=owner, restored=restored, now=now)
    new = [item for item in journal_outcomes if item.row.id in written]
    send_gate_queries.append_attempts(
        connection, [attempt_row(item.outcome, at=now, worker=owner) for item in new]
    )
    if waiting:
        wake_contacts(connection, waiting, at=now)
    if not restored:
        for lane in {item.row.lane for item in new}:
            outcomes = [item.outcome for item in new if item.row.lane == lane]
            # Of the past: it does not tell which domain was meant.
            is_slow = any(outcome.slow for outcome in outcomes)
            pause_or_rest_lane(connection, lane, outcomes, now=now, is_slow=is_slow)
    counts = Counts()
    for item in new:
        counts[item.outcome.outcome] += 1
    return counts


def _write_rows(
    connection: sa.Connection,
    journal_outcomes: Iterable[JournalOutcome],
    rows: dict[int, Row],
    *,
    owner: str,
    restored: bool,
    now: Instant,
) -> set[int]:
    """Write the rows of the outcomes, each where its kind may; return the ids written."""

    def rows_of(*kinds: Result) -> list[Row]:
        return [rows[item.row.id] for item in journal_outcomes if item.outcome.outcome in kinds]

    written = journal_queries.settle_open_messages(connection, rows_of(*_SETTLING), now=now)
    in_doubt = rows_of("in_doubt")
    if restored:
        return written | journal_queries.put_open_messages_in_doubt(connection, in_doubt, now=now)
    own = [*in_doubt, *rows_of("retry", "lane_paused")]
    return written | journal_queries.write_own_outcomes(connection, own, owner=owner, now=now)
