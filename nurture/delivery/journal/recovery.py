"""The journal beside delivery: windows are written down before they begin, and what stopped workers left is taken up.

Enters: windows past the wire gate; journals of processes that are gone. Leaves: mails that never began are due
again at once, mails that were answered get their answer, and only what was begun and not answered is in doubt.
Who concludes that a mail never began holds the lock of its sender's journal, on the machine that has not been
restarted since.
"""

import hmac
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery import send_gate_queries
from nurture.delivery.journal import file_format, queries
from nurture.delivery.journal.evidence import Found, conclude, outcome_of
from nurture.delivery.journal.file_format import Entry, Passed
from nurture.delivery.journal.writer import Journal
from nurture.delivery.types import WIRE_LEASE, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.errors import Transient
from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.runtime.clock import Clock

#: From this age of its wire gate on a mail is not begun any more; others may have taken it over soon after.
_FENCE_SECONDS = (WIRE_LEASE - MINUTE) / SECOND
#: Mails concluded in one transaction.
BATCH = 500


class DatabaseRestoredError(Transient):
    """The database does not know what this process did in it: it was restored meanwhile."""


def open_journal(database: Database, folder: Path, *, clock: Clock) -> Journal:
    """Begin this process's journal and make it known. Raises SettingsError when the folder cannot be written."""
    identity = database.run(queries.database_id)
    now = clock.now()
    journal = Journal(folder, database=identity, now=now, fence=_FENCE_SECONDS)
    database.run(lambda connection: queries.enlist(connection, journal.name, now=now))
    return journal


def mark_of(key: bytes, address: str, *, measure: str, run_key: str, step: str) -> str:
    """Return what knows a mail again when it is decided anew; nothing can be read from it."""
    text = f"nurture mail\0{address}\0{measure}\0{run_key}\0{step}"
    return hmac.digest(key, text.encode(), "sha256").hex()[:24]


# ---- beside a delivery -----------------------------------------------------------------------------------


def count_window(connection: sa.Connection, delivery: Delivery) -> int:
    """Count a window in its gate's transaction and return its number.

    Raises WentBackError when this process has had a greater number, or is not known at all.
    """
    journal = delivery.journal
    if journal is None:
        return 0
    number = queries.count_window(connection, journal.name)
    if number is None or number <= journal.windows:
        message = f"window {journal.windows} of {journal.name} passed a gate that the database does not know"
        raise DatabaseRestoredError(message)
    return number


def write_down(
    delivery: Delivery, lane: str, number: int, passed: Sequence[ReadyMessage], *, at: Instant
) -> None:
    """Write a window down before its first letter begins. Raises Transient when that cannot be done."""
    if delivery.journal is not None:
        delivery.journal.passed(lane, number, [_passed(delivery, ready) for ready in passed], at=at)


def _passed(delivery: Delivery, ready: ReadyMessage) -> Passed:
    key = delivery.suppression_key
    mark = mark_of(key, ready.address, measure=ready.measure, run_key=ready.run_key, step=ready.step)
    transactional = ready.purpose == "transactional"
    return Passed(ready.id, ready.attempt, ready.owner_id, ready.decided_at, transactional, mark)


def mend(database: Database, delivery: Delivery, lane: str) -> Counts:
    """Settle what a delivery of this process left behind when it broke off; the lane is free now."""
    journal = delivery.journal
    if journal is None or lane not in journal.busy:
        return Counts()
    counts = _settle_held(database, delivery, journal.name, journal.in_flight(lane), lane=lane)
    journal.settled(list(journal.in_flight(lane)))
    journal.busy.discard(lane)
    return counts


# ---- journals of others ----------------------------------------------------------------------------------


def take_up(database: Database, delivery: Delivery) -> Counts:
    """Settle what processes of this machine held that are gone; counts what their journals told.

    counts: `not_begun`, `sent`, `failed`, `retry`, `lane_paused`, `in_doubt`; `journals` read to the end.
    """
    counts = Counts()
    journal = delivery.journal
    if journal is None:
        return counts
    here = set(file_format.names(journal.folder)) - {journal.name}
    with database.read() as connection:
        holding = queries.owners(connection) & here
        known = queries.known(connection, sorted(here))
    unread = {name for name in here if name in known and known[name].settled_at is None}
    for name in sorted(holding | unread):
        with file_format.seized(journal.folder, name) as is_gone:
            if is_gone:
                counts.add(_take_up_one(database, delivery, name))
    return counts


def _take_up_one(database: Database, delivery: Delivery, name: str) -> Counts:
    """Settle what one process left; its lock is ours."""
    journal = delivery.journal
    assert journal is not None  # noqa: S101 - for the type checker
    told = file_format.read(file_format.latest(journal.folder, name))
    counts = Counts()
    if not told.name or told.database != database.run(queries.database_id):
        return counts
    # A line that cannot be read may have been the one that tells of a dot.
    if told.boot == file_format.boot_id() and not told.broken:
        counts.add(_settle_held(database, delivery, name, told.entries))
    counts.add(tell_evidence(database, delivery, told))

    def end(connection: sa.Connection) -> None:
        queries.put_settled(
            connection, name, windows=told.windows, opened_at=told.opened_at, now=delivery.clock.now()
        )

    database.run(end)
    counts["journals"] += 1
    return counts


def _settle_held(
    database: Database,
    delivery: Delivery,
    owner: str,
    entries: dict[tuple[int, int], Entry],
    *,
    lane: str | None = None,
) -> Counts:
    """Settle all that a worker holds, by how far its journal says it got: not at all, where it says nothing."""

    def batch(connection: sa.Connection) -> Counts:
        now = delivery.clock.now()
        rows = queries.held_by(connection, owner, lane=lane, limit=BATCH)
        found, back = list[Found](), list[dict[str, int]]()
        for row in rows:
            entry = entries.get((row.id, row.attempt))
            outcome = outcome_of(entry) if entry and row.status == "on_wire" else None
            if entry and outcome:
                found.append(Found(row, outcome, entry.at))
            else:
                back.append({"id": row.id, "attempt": row.attempt})
        counts = conclude(connection, delivery, found, owner=owner)
        given = send_gate_queries.give_back(connection, back, worker=owner, due_at=now, reason="not_begun")
        counts["not_begun"] += given
        counts.more = len(rows) >= BATCH
        return counts

    total = Counts()
    more = True
    while more:
        counts = database.run(batch)
        total.update(counts)
        # A batch that changed nothing would come again for ever.
        more = counts.more and counts.total() > 0
    return total


def tell_evidence(database: Database, delivery: Delivery, told: file_format.Read) -> Counts:
    """Let what a journal heard settle mails that are in doubt by now, whoever put them there."""
    heard = {key: entry for key, entry in told.entries.items() if entry.reply is not None}
    keys = sorted(heard)

    def batch(connection: sa.Connection, some: Sequence[tuple[int, int]]) -> Counts:
        rows = queries.by_id(connection, [key[0] for key in some])
        found = []
        for key in some:
            row, outcome = rows.get(key[0]), outcome_of(heard[key])
            if row is None or outcome is None or outcome.outcome not in ("sent", "failed"):
                continue
            is_same = (row.attempt, row.decided_at) == (key[1], heard[key].passed.decided_at)
            if is_same and row.status in ("on_wire", "in_doubt"):
                found.append(Found(row, outcome, heard[key].at))
        return conclude(connection, delivery, found, owner=told.name) if found else Counts()

    total = Counts()
    for place in range(0, len(keys), BATCH):
        some = keys[place : place + BATCH]
        total.update(database.run(lambda connection, some=some: batch(connection, some)))  # type: ignore[misc]
    return total


def tidy(database: Database, delivery: Delivery, *, keep: Duration) -> int:
    """Remove files that were read to their end and written to no more for `keep`; returns how many."""
    journal = delivery.journal
    if journal is None:
        return 0
    here = file_format.names(journal.folder)
    with database.read() as connection:
        known = queries.known(connection, here)
    finished = {name for name in here if name in known and known[name].settled_at is not None}
    before = (delivery.clock.now() - keep) / SECOND
    return file_format.sweep(journal.folder, finished, own=journal.name, before=before)
