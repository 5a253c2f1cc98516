"""Detection of a restored database before a mail leaves, and the journals' word on what had left.

All lanes stop until an operator resumes them after the restore. Meanwhile the journals of this machine settle the mails
that left. A mail that the restored database does not have is remembered by its mark.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.consent import record
from nurture.database.engine import Database
from nurture.delivery.journal import file_format
from nurture.delivery.journal import queries as journal_queries
from nurture.delivery.journal.evidence import (
    JournalOutcome,
    outcome_from_entry,
    write_journal_outcomes,
)
from nurture.delivery.journal.file_format import JournalContent, JournalEntry
from nurture.delivery.journal.recovery import (
    BATCH,
    DatabaseRestoredError,
    mark_journal_read,
    mark_of_mail,
)
from nurture.delivery.types import Chunk, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, Duration, Instant
from nurture.runtime.log import get_logger
from nurture.transports.types import Outcome

#: A journal older than this says nothing about a restore; by then the database has deleted its sender.
MEMORY = 35 * DAY
#: How long the mark of a mail that left before a restore is kept; no measure's run key comes back later.
LEFT_MEMORY = 400 * DAY
_log = get_logger("restore")


@dataclass(slots=True)
class JournalProgress:
    """The journals that this process has compared and written already; one for each process."""

    compared: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    # The second (`clock.monotonic`) at which it last looked for journals.
    looked_at: float = float("-inf")
    # How long files stay that were read to their end: as old as a backup may be.
    keep: Duration = 7 * DAY
    # The second (`clock.monotonic`) at which files were last removed.
    files_removed_at: float = float("-inf")


def detect_restore(database: Database, delivery: Delivery, progress: JournalProgress) -> Counts:
    """Stop all lanes when the database was restored; while they are stopped, write this machine's journals to it.

    counts: `went_back` when this call detected the restore; those of `write_journals`.
    """
    counts = Counts()
    journal = delivery.journal
    if journal is None:
        return counts
    now = delivery.clock.now()
    reason = _explain_other_incarnation(database) or _explain_journal_ahead(
        database, journal.folder, progress, now=now
    )
    if reason:
        counts["went_back"] += stop_all_lanes(database, delivery, reason)
    with database.read() as connection:
        stopped = journal_queries.is_stopped_after_restore(connection)
    if not stopped:
        progress.written.clear()
        return counts
    names = [name for name in file_format.list_senders(journal.folder) if name not in progress.written]
    if names:
        counts.add(write_journals(database, delivery, journal.folder, names))
        progress.written.update(names)
    return counts


def _explain_other_incarnation(database: Database) -> str:
    """Return why the database is not the accepted one, empty when it is; accepts the first."""
    with database.read() as connection:
        present = journal_queries.read_incarnation(connection)
        accepted = journal_queries.find_accepted_incarnation(connection)
    if accepted is None:
        database.run(lambda connection: journal_queries.accept_incarnation(connection, present))
    elif present and accepted and present != accepted:
        return f"the database was restored or failed over: it is {present} and was {accepted}"
    return ""


def _explain_journal_ahead(
    database: Database, folder: Path, progress: JournalProgress, *, now: Instant
) -> str:
    """Return which journal holds more windows than the database, empty for none; compares each journal once."""
    new = [name for name in file_format.list_senders(folder) if name not in progress.compared]
    if not new:
        return ""
    database_id = database.run(journal_queries.ensure_database_id)
    for name in new:
        content = file_format.read_parts(file_format.list_latest_parts(folder, name))
        with database.read() as connection:
            row = journal_queries.load_senders(connection, [name]).get(name)
        windows = row.windows if row else 0
        is_ours = content.database == database_id and content.opened_at > now - MEMORY
        if is_ours and content.windows > windows:
            return (
                f"the journal {name} knows {content.windows} windows of mails and the database {windows}: "
                "an older copy of the database runs"
            )
        progress.compared.add(name)
    return ""


def stop_all_lanes(database: Database, delivery: Delivery, reason: str) -> int:
    """Stop every lane, unless they are stopped after a restore already; return 1 when this call did it."""

    def stop(connection: sa.Connection) -> int:
        if journal_queries.is_stopped_after_restore(connection):
            return 0
        record.stop_after_restore(connection, reason=reason, actor="journal", now=delivery.clock.now())
        return 1

    stopped = database.run(stop)
    if stopped:
        _log.error("all lanes stopped; resume them with: nurture resume all --after-restore", reason=reason)
    return stopped


@contextmanager
def mark_lane_busy(database: Database, delivery: Delivery, lane: str) -> Iterator[None]:
    """Mark a lane as busy for the block; after an exception it stays so until `recovery.settle_broken_delivery`."""
    journal = delivery.journal
    if journal is None:
        yield
        return
    journal.busy.add(lane)
    try:
        yield
    except DatabaseRestoredError as error:
        stop_all_lanes(database, delivery, str(error))
        raise
    journal.busy.discard(lane)
    # Each attempt has its outcome written or went back to waiting.
    journal.forget_attempts(list(journal.in_flight(lane)))


# ---- writing journals to a restored database -------------------------------------------------------------


def write_journals(database: Database, delivery: Delivery, folder: Path, names: Iterable[str]) -> Counts:
    """Write all that these journals tell to the database; repeating it changes nothing.

    counts: by outcome those that were new for its messages, and `unknown`: mails that left and are not in it, which
    are remembered by their mark.
    """
    database_id = database.run(journal_queries.ensure_database_id)
    counts = Counts()
    highest_message = highest_contact = 0
    for name in names:
        whole = JournalContent()
        for part in file_format.list_parts(folder, name):
            content = file_format.read_parts([part])
            if content.database != database_id:
                continue
            whole.windows, whole.opened_at = max(whole.windows, content.windows), content.opened_at
            begun = [entry for entry in content.entries.values() if entry.begun]
            counts.add(_write_entries(database, delivery, content.name, begun))
            highest_message = max([highest_message, *(entry.mail.message_id for entry in begun)])
            highest_contact = max([highest_contact, *(entry.mail.contact_id for entry in begun)])
        if whole.opened_at:
            mark_journal_read(database, name, whole, now=delivery.clock.now())
            counts["journals"] += 1
    if highest_message:
        database.run(
            lambda connection: journal_queries.raise_sequences(
                connection, messages_to=highest_message, contacts_to=highest_contact
            )
        )
    return counts


def _write_entries(
    database: Database, delivery: Delivery, name: str, begun: Sequence[JournalEntry]
) -> Counts:
    counts = Counts()
    for place in range(0, len(begun), BATCH):

        def write(
            connection: sa.Connection, entries: Sequence[JournalEntry] = begun[place : place + BATCH]
        ) -> Counts:
            return _write_entries_batch(connection, delivery, name, entries)

        counts.add(database.run(write))
    return counts


def _write_entries_batch(
    connection: sa.Connection, delivery: Delivery, name: str, entries: Sequence[JournalEntry]
) -> Counts:
    """Settle the messages that the database has, and remember the others that left by their marks."""
    rows = journal_queries.load_messages(connection, [entry.mail.message_id for entry in entries])
    newest: dict[int, JournalOutcome] = {}
    left = list[dict[str, Any]]()
    for entry in entries:
        mail = entry.mail
        outcome, row = outcome_from_entry(entry), rows.get(mail.message_id)
        if outcome is None:
            continue
        if row is not None and (row.contact_id, row.decided_at) == (mail.contact_id, mail.decided_at):
            before = newest.get(row.id)
            if before is None or before.outcome.attempt < outcome.attempt:
                newest[row.id] = JournalOutcome(row, outcome, entry.at)
        elif outcome.outcome == "sent" or (outcome.outcome == "in_doubt" and not mail.transactional):
            left.append({"mark": mail.mark, "at": entry.at, "journal": name})
    known = journal_queries.find_left_before(connection, [row["mark"] for row in left])
    journal_queries.insert_left_before(connection, left)
    final = [item for item in newest.values() if item.outcome.outcome in ("sent", "failed", "in_doubt")]
    counts = (
        write_journal_outcomes(connection, delivery, final, owner=name, restored=True) if final else Counts()
    )
    counts["unknown"] += len({row["mark"] for row in left} - known.keys())
    return counts


# ---- after the restore -----------------------------------------------------------------------------------


def settle_left_before_restore(database: Database, delivery: Delivery, chunk: Chunk) -> None:
    """Take messages out of a chunk whose mail left before a restore, and settle them as sent at that instant."""
    if delivery.journal is None or not chunk.ready:
        return
    ready_by_mark = {mark_of_mail(delivery.suppression_key, ready): ready for ready in chunk.ready}
    with database.read() as connection:
        left = journal_queries.find_left_before(connection, list(ready_by_mark))
    if not left:
        return

    def settle(connection: sa.Connection) -> None:
        rows = journal_queries.load_messages(connection, [ready_by_mark[mark].id for mark in left])
        journal_outcomes = [
            JournalOutcome(rows[ready.id], _outcome_sent_before(ready, left[mark].journal), left[mark].at)
            for mark, ready in ready_by_mark.items()
            if mark in left and ready.id in rows
        ]
        write_journal_outcomes(connection, delivery, journal_outcomes, owner=delivery.worker, restored=True)

    database.run(settle)
    settled = {ready_by_mark[mark].id for mark in left}
    chunk.ready = [ready for ready in chunk.ready if ready.id not in settled]
    chunk.counts["left_before"] += len(settled)


def _outcome_sent_before(ready: ReadyMessage, journal: str) -> Outcome:
    text = f"left before the database was restored; {journal} knows it"
    return Outcome(ready.id, ready.attempt, "sent", "replied", "", text)


def accept_database(connection: sa.Connection) -> None:
    """Accept the database as it is now, so that the lanes may run again."""
    journal_queries.accept_incarnation(connection, journal_queries.read_incarnation(connection))
