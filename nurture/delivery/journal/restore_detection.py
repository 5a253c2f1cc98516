"""A database that went back: noticed before anything leaves, and told by the journals what has left already.

Enters: journals, and what the database says of itself. Leaves: all lanes stopped until an operator resumes them
after the restore; mails that left are settled, or known by a mark when the database has never heard of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.consent import record
from nurture.database.engine import Database
from nurture.delivery.journal import file_format, queries
from nurture.delivery.journal.evidence import Found, conclude, outcome_of
from nurture.delivery.journal.file_format import Entry, Read
from nurture.delivery.journal.recovery import BATCH, DatabaseRestoredError, mark_of
from nurture.delivery.types import Chunk, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, Duration, Instant
from nurture.runtime.log import get_logger
from nurture.transports.types import Outcome

#: A journal older than this says nothing about a restore; the database forgets its senders then.
MEMORY = 35 * DAY
#: For so long a mail that left before a restore is known again; no measure's run key comes back later.
LEFT_MEMORY = 400 * DAY
_log = get_logger("restore")


@dataclass(slots=True)
class Watch:
    """What this process has looked at already; one for each process."""

    compared: set[str] = field(default_factory=set)
    folded: set[str] = field(default_factory=set)
    # The second (`clock.monotonic`) at which it last looked.
    looked_at: float = float("-inf")
    # How long files stay that were read to their end: as old as a backup may be.
    keep: Duration = 7 * DAY
    # The second (`clock.monotonic`) at which files were last removed.
    tidied_at: float = float("-inf")


def look(database: Database, delivery: Delivery, watch: Watch) -> Counts:
    """Stop all lanes when the database went back; while they are stopped, fold in the journals of this machine.

    counts: `went_back` when this call noticed it; what `fold` counts.
    """
    counts = Counts()
    journal = delivery.journal
    if journal is None:
        return counts
    now = delivery.clock.now()
    reason = _strange_epoch(database) or _ahead(database, journal.folder, watch, now=now)
    if reason:
        counts["went_back"] += stop(database, delivery, reason)
    with database.read() as connection:
        stopped = queries.is_stopped(connection)
    if not stopped:
        watch.folded.clear()
        return counts
    names = [name for name in file_format.names(journal.folder) if name not in watch.folded]
    if names:
        counts.add(fold(database, delivery, journal.folder, names))
        watch.folded.update(names)
    return counts


def _strange_epoch(database: Database) -> str:
    """Return why the database is not the one that was agreed to; agrees to the first."""
    with database.read() as connection:
        present, agreed = queries.incarnation(connection), queries.epoch(connection)
    if agreed is None:
        database.run(lambda connection: queries.put_epoch(connection, present))
    elif present and agreed and present != agreed:
        return f"the database was restored or failed over: it is {present} and was {agreed}"
    return ""


def _ahead(database: Database, folder: Path, watch: Watch, *, now: Instant) -> str:
    """Return why a journal knows more than the database; each is compared once."""
    new = [name for name in file_format.names(folder) if name not in watch.compared]
    if not new:
        return ""
    identity = database.run(queries.database_id)
    for name in new:
        told = file_format.read(file_format.latest(folder, name))
        with database.read() as connection:
            row = queries.known(connection, [name]).get(name)
        windows = row.windows if row else 0
        is_ours = told.database == identity and told.opened_at > now - MEMORY
        if is_ours and told.windows > windows:
            return (
                f"the journal {name} knows {told.windows} windows of mails and the database {windows}: "
                "an older copy of the database runs"
            )
        watch.compared.add(name)
    return ""


def stop(database: Database, delivery: Delivery, reason: str) -> int:
    """Stop every lane, unless they are stopped for this already; returns 1 when it was done now."""

    def work(connection: sa.Connection) -> int:
        if queries.is_stopped(connection):
            return 0
        record.stop_after_restore(connection, reason=reason, actor="journal", now=delivery.clock.now())
        return 1

    done = database.run(work)
    if done:
        _log.error("all lanes stopped; resume them with: nurture resume all --after-restore", reason=reason)
    return done


@contextmanager
def under_way(database: Database, delivery: Delivery, lane: str) -> Iterator[None]:
    """Mark a lane as spoken on for the block; what an exception leaves behind is for `recovery.mend`."""
    journal = delivery.journal
    if journal is None:
        yield
        return
    journal.busy.add(lane)
    try:
        yield
    except DatabaseRestoredError as error:
        stop(database, delivery, str(error))
        raise
    journal.busy.discard(lane)
    # All of it has its outcome written or was given back.
    journal.settled(list(journal.in_flight(lane)))


# ---- folding journals in ---------------------------------------------------------------------------------


def fold(database: Database, delivery: Delivery, folder: Path, names: Iterable[str]) -> Counts:
    """Tell the database all that these journals know; repeating it changes nothing.

    counts: by outcome what was news about its mails, and `unknown`: mails that left and are not in it, which
    are remembered by their mark.
    """
    identity = database.run(queries.database_id)
    counts = Counts()
    highest = [0, 0]
    for name in names:
        windows, opened_at = 0, 0
        for part in file_format.parts(folder, name):
            told = file_format.read([part])
            if told.database != identity:
                continue
            windows, opened_at = max(windows, told.windows), told.opened_at
            counts.add(_fold_part(database, delivery, told, highest))
        if opened_at:
            _remember(database, name, windows, opened_at, delivery.clock.now())
            counts["journals"] += 1
    if highest[0]:
        database.run(lambda c: queries.raise_ids(c, messages_to=highest[0], contacts_to=highest[1]))
    return counts


def _remember(database: Database, name: str, windows: int, opened_at: Instant, now: Instant) -> None:
    database.run(
        lambda connection: queries.put_settled(
            connection, name, windows=windows, opened_at=opened_at, now=now
        )
    )


def _fold_part(database: Database, delivery: Delivery, told: Read, highest: list[int]) -> Counts:
    begun = [entry for entry in told.entries.values() if entry.begun]
    counts = Counts()
    for place in range(0, len(begun), BATCH):
        some = begun[place : place + BATCH]
        highest[0] = max(highest[0], *(entry.passed.message_id for entry in some))
        highest[1] = max(highest[1], *(entry.passed.contact_id for entry in some))

        def batch(connection: sa.Connection, some: Sequence[Entry] = some) -> Counts:
            return _fold_batch(connection, delivery, told.name, some)

        counts.add(database.run(batch))
    return counts


def _fold_batch(connection: sa.Connection, delivery: Delivery, name: str, some: Sequence[Entry]) -> Counts:
    rows = queries.by_id(connection, [entry.passed.message_id for entry in some])
    newest: dict[int, Found] = {}
    left = list[dict[str, Any]]()
    for entry in some:
        outcome, row = outcome_of(entry), rows.get(entry.passed.message_id)
        if outcome is None:
            continue
        passed = entry.passed
        if row is not None and (row.contact_id, row.decided_at) == (passed.contact_id, passed.decided_at):
            before = newest.get(row.id)
            if before is None or before.outcome.attempt < outcome.attempt:
                newest[row.id] = Found(row, outcome, entry.at)
        elif outcome.outcome == "sent" or (outcome.outcome == "in_doubt" and not entry.passed.transactional):
            left.append({"mark": entry.passed.mark, "at": entry.at, "journal": name})
    known = queries.find_left(connection, [row["mark"] for row in left])
    queries.add_left(connection, left)
    found = [each for each in newest.values() if each.outcome.outcome in ("sent", "failed", "in_doubt")]
    counts = conclude(connection, delivery, found, owner=name, restored=True) if found else Counts()
    counts["unknown"] += len({row["mark"] for row in left} - known.keys())
    return counts


# ---- afterwards ------------------------------------------------------------------------------------------


def withhold(database: Database, delivery: Delivery, chunk: Chunk) -> None:
    """Take out of a chunk what left before a restore and was decided anew: it is settled as sent, when it was."""
    if delivery.journal is None or not chunk.ready:
        return
    marks = {_mark(delivery, ready): ready for ready in chunk.ready}
    with database.read() as connection:
        left = queries.find_left(connection, list(marks))
    if not left:
        return

    def work(connection: sa.Connection) -> None:
        rows = queries.by_id(connection, [marks[mark].id for mark in left])
        found = [
            Found(rows[ready.id], _has_left(ready, left[mark].journal), left[mark].at)
            for mark, ready in marks.items()
            if mark in left and ready.id in rows
        ]
        conclude(connection, delivery, found, owner=delivery.worker, restored=True)

    database.run(work)
    gone = {marks[mark].id for mark in left}
    chunk.ready = [ready for ready in chunk.ready if ready.id not in gone]
    chunk.counts["left_before"] += len(gone)


def _mark(delivery: Delivery, ready: ReadyMessage) -> str:
    key = delivery.suppression_key
    return mark_of(key, ready.address, measure=ready.measure, run_key=ready.run_key, step=ready.step)


def _has_left(ready: ReadyMessage, journal: str) -> Outcome:
    text = f"left before the database was restored; {journal} knows it"
    return Outcome(ready.id, ready.attempt, "sent", "replied", "", text)


def agree(connection: sa.Connection) -> None:
    """Take the database as it is now for the one to go on with."""
    queries.put_epoch(connection, queries.incarnation(connection))
