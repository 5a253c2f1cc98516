"""The journal beside a delivery, and the recovery of what stopped processes left.

A window is recorded before its mails begin. Later the journals of processes that are gone settle their mails: a mail
that never began is due again at once, a mail with a reply gets its outcome, and only a mail that was begun without a
reply is in doubt. Only a process that holds the lock of the sender's journal, on a machine that was not restarted
since, may conclude that a mail never began.
"""

import hmac
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery import send_gate_queries
from nurture.delivery.journal import file_format
from nurture.delivery.journal import queries as journal_queries
from nurture.delivery.journal.evidence import (
    JournalOutcome,
    outcome_from_entry,
    write_journal_outcomes,
)
from nurture.delivery.journal.file_format import JournalContent, JournalEntry, WindowMail
from nurture.delivery.journal.writer import Journal
from nurture.delivery.types import WIRE_LEASE, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.errors import Transient
from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.runtime.clock import Clock

#: Seconds after its send gate from which on a mail is not begun any more; soon after, another worker may have it.
_FENCE_SECONDS = (WIRE_LEASE - MINUTE) / SECOND
#: Mails written in one transaction.
BATCH = 500


class DatabaseRestoredError(Transient):
    """The database has no record of what this process did in it: it was restored meanwhile."""


def open_journal(database: Database, folder: Path, *, clock: Clock) -> Journal:
    """Begin the journal of this process and insert it as a sender.

    Raises SettingsError when the folder cannot be written.
    """
    database_id = database.run(journal_queries.ensure_database_id)
    now = clock.now()
    journal = Journal(folder, database=database_id, now=now, fence=_FENCE_SECONDS)
    database.run(lambda connection: journal_queries.insert_sender(connection, journal.name, now=now))
    return journal


def mark_of_mail(key: bytes, ready: ReadyMessage) -> str:
    """Return a keyed hash that recognises a mail when it is decided again; it tells nothing about the mail."""
    text = f"nurture mail\0{ready.address}\0{ready.measure}\0{ready.run_key}\0{ready.step}"
    return hmac.digest(key, text.encode(), "sha256").hex()[:24]


# ---- beside a delivery -----------------------------------------------------------------------------------


def count_window(connection: sa.Connection, delivery: Delivery) -> int:
    """Count a window in the transaction of its send gate; return its number, 0 without a journal.

    Raises DatabaseRestoredError when this process has had a greater number, or the database does not have this sender.
    """
    journal = delivery.journal
    if journal is None:
        return 0
    number = journal_queries.count_window(connection, journal.name)
    if number is None or number <= journal.windows:
        message = f"window {journal.windows} of {journal.name} passed a gate that the database does not know"
        raise DatabaseRestoredError(message)
    return number


def record_window(
    delivery: Delivery, lane: str, number: int, messages: Sequence[ReadyMessage], *, at: Instant
) -> None:
    """Record a window before its first mail begins. Raises Transient when the journal cannot be written."""
    if delivery.journal is not None:
        mails = [_window_mail(delivery, ready) for ready in messages]
        delivery.journal.record_window(lane, number, mails, at=at)


def _window_mail(delivery: Delivery, ready: ReadyMessage) -> WindowMail:
    mark = mark_of_mail(delivery.suppression_key, ready)
    transactional = ready.purpose == "transactional"
    return WindowMail(ready.id, ready.attempt, ready.owner_id, ready.decided_at, transactional, mark)


def settle_broken_delivery(database: Database, delivery: Delivery, lane: str) -> Counts:
    """Settle what an earlier delivery of this process left on the lane when it was broken off; return counts."""
    journal = delivery.journal
    if journal is None or lane not in journal.busy:
        return Counts()
    counts = _settle_leased(database, delivery, journal.name, journal.in_flight(lane), lane=lane)
    journal.forget_attempts(list(journal.in_flight(lane)))
    journal.busy.discard(lane)
    return counts


# ---- journals of other processes -------------------------------------------------------------------------


def recover_journals(database: Database, delivery: Delivery) -> Counts:
    """Settle what processes of this machine left that are gone; return counts.

    counts: `not_begun`, `sent`, `failed`, `retry`, `lane_paused`, `in_doubt`; `journals` read to the end.
    """
    counts = Counts()
    journal = delivery.journal
    if journal is None:
        return counts
    others = set(file_format.list_senders(journal.folder)) - {journal.name}
    with database.read() as connection:
        leasing = journal_queries.list_lease_owners(connection) & others
        senders = journal_queries.load_senders(connection, sorted(others))
    unread = {name for name, sender in senders.items() if sender.settled_at is None}
    for name in sorted(leasing | unread):
        with file_format.try_lock(journal.folder, name) as is_gone:
            if is_gone:
                counts.add(_recover_journal(database, delivery, journal.folder, name))
    return counts


def _recover_journal(database: Database, delivery: Delivery, folder: Path, name: str) -> Counts:
    """Settle what one process left; the caller holds its lock."""
    content = file_format.read_parts(file_format.list_latest_parts(folder, name))
    counts = Counts()
    if not content.name or content.database != database.run(journal_queries.ensure_database_id):
        return counts
    # A record that cannot be read may have been that of a final dot.
    if content.boot == file_format.read_boot_id() and not content.broken:
        counts.add(_settle_leased(database, delivery, name, content.entries))
    counts.add(_settle_by_replies(database, delivery, content))
    mark_journal_read(database, name, content, now=delivery.clock.now())
    counts["journals"] += 1
    return counts


def mark_journal_read(database: Database, name: str, content: JournalContent, *, now: Instant) -> None:
    """Store that a sender's journal was read to its end."""
    database.run(
        lambda connection: journal_queries.mark_journal_read(
            connection, name, windows=content.windows, opened_at=content.opened_at, now=now
        )
    )


def _settle_leased(
    database: Database,
    delivery: Delivery,
    owner: str,
    entries: dict[tuple[int, int], JournalEntry],
    *,
    lane: str | None = None,
) -> Counts:
    """Settle all messages under a worker's lease by its journal's entries; a message without one never began."""
    total = Counts()
    more = True
    while more:
        counts = database.run(
            lambda connection: _settle_leased_batch(connection, delivery, owner, entries, lane=lane)
        )
        total.update(counts)
        # A batch that changed nothing would come again for ever.
        more = counts.more and counts.total() > 0
    return total


def _settle_leased_batch(
    connection: sa.Connection,
    delivery: Delivery,
    owner: str,
    entries: dict[tuple[int, int], JournalEntry],
    *,
    lane: str | None,
) -> Counts:
    now = delivery.clock.now()
    rows = journal_queries.load_leased_messages(connection, owner, lane=lane, limit=BATCH)
    journal_outcomes, not_begun = list[JournalOutcome](), list[dict[str, int]]()
    for row in rows:
        entry = entries.get((row.id, row.attempt))
        outcome = outcome_from_entry(entry) if entry and row.status == "on_wire" else None
        if entry and outcome:
            journal_outcomes.append(JournalOutcome(row, outcome, entry.at))
        else:
            not_begun.append({"id": row.id, "attempt": row.attempt})
    counts = write_journal_outcomes(connection, delivery, journal_outcomes, owner=owner)
    counts["not_begun"] += send_gate_queries.return_to_waiting(
        connection, not_begun, worker=owner, due_at=now, reason="not_begun"
    )
    counts.more = len(rows) >= BATCH
    return counts


def _settle_by_replies(database: Database, delivery: Delivery, content: JournalContent) -> Counts:
    """Settle messages in doubt by the replies in a journal, whichever process put them in doubt."""
    answered = {key: entry for key, entry in content.entries.items() if entry.reply is not None}
    keys = sorted(answered)
    total = Counts()
    for place in range(0, len(keys), BATCH):
        entries = {key: answered[key] for key in keys[place : place + BATCH]}
        total.update(
            database.run(
                lambda connection, entries=entries: _settle_replies_batch(  # type: ignore[misc]
                    connection, delivery, content.name, entries
                )
            )
        )
    return total


def _settle_replies_batch(
    connection: sa.Connection, delivery: Delivery, owner: str, entries: dict[tuple[int, int], JournalEntry]
) -> Counts:
    rows = journal_queries.load_messages(connection, [message_id for message_id, _ in entries])
    journal_outcomes = []
    for (message_id, attempt), entry in entries.items():
        row, outcome = rows.get(message_id), outcome_from_entry(entry)
        if row is None or outcome is None or outcome.outcome not in ("sent", "failed"):
            continue
        is_same = (row.attempt, row.decided_at) == (attempt, entry.mail.decided_at)
        if is_same and row.status in ("on_wire", "in_doubt"):
            journal_outcomes.append(JournalOutcome(row, outcome, entry.at))
    if not journal_outcomes:
        return Counts()
    return write_journal_outcomes(connection, delivery, journal_outcomes, owner=owner)


def remove_finished_files(database: Database, delivery: Delivery, *, keep: Duration) -> int:
    """Remove files that were read to their end and not written for `keep`; return how many."""
    journal = delivery.journal
    if journal is None:
        return 0
    names = file_format.list_senders(journal.folder)
    with database.read() as connection:
        senders = journal_queries.load_senders(connection, names)
    finished = {name for name, sender in senders.items() if sender.settled_at is not None}
    before = (delivery.clock.now() - keep) / SECOND
    return file_format.remove_parts(journal.folder, finished, own=journal.name, before=before)
