"""Letters that are under way, and what became of them, written a window at a time.

Enters: what passed the wire gate, and what the transport says of each letter. Leaves: settled messages
(`delivery.outcomes`), in the order heard. Where the database takes more than one writer at a time, a window is
written while the next one is rendered: a commit waits for the disk, and rendering needs nothing of it.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery import outcomes
from nurture.delivery.outcomes import AttemptResult
from nurture.delivery.types import Chunk, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.instant import DAY, Instant
from nurture.feedback.record import record
from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.types import Outcome, OutgoingMail

#: Outcomes are written at least this often while letters are under way.
_FLUSH_SECONDS = 1.0


class OutcomeWriter:
    """Takes outcomes, and writes them a window at a time; leaving it writes what is left and waits for all.

    Without a written outcome are at most one window and, of the window before it, two letters a connection (one
    behind its dot, one just heard of): what was heard is handed over when the last letter of a window has begun,
    and written before the next window passes its gate.
    """

    def __init__(self, database: Database, delivery: Delivery, chunk: Chunk) -> None:
        """Begin with nothing under way."""
        self._database = database
        self._delivery = delivery
        self._chunk = chunk
        self._under_way: dict[int, tuple[ReadyMessage, OutgoingMail, Instant]] = {}
        self._told: list[AttemptResult] = []
        self._since = 0.0
        self._kept = ExitStack()
        self._clerk: ThreadPoolExecutor | None = None
        self._writing: Future[Counts] | None = None

    def __enter__(self) -> Self:
        """Employ who writes meanwhile; SQLite takes one writer at a time, so there nobody would gain."""
        if not self._database.is_sqlite:
            self._clerk = self._kept.enter_context(ThreadPoolExecutor(1, "outcomes"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left; raises what writing a window met."""
        with self._kept:
            self.flush()
            self.wait()

    def begin(self, ready: ReadyMessage, letter: OutgoingMail, *, passed_at: Instant) -> None:
        """Note that the transport has a letter now, which passed the wire gate then."""
        self._under_way[ready.id] = (ready, letter, passed_at)

    def take(self, outcome: Outcome) -> None:
        """Keep an outcome; have written what has gathered when it is a window or a second old."""
        if not self._told:
            self._since = monotonic()
        begun = self._under_way.pop(outcome.message_id, None)
        if begun is not None:
            self._told.append(AttemptResult(outcome, *begun))
        if len(self._told) >= self._delivery.window or monotonic() - self._since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Have what has gathered written; raises what writing the window before met."""
        told, self._told = self._told, []
        if not told:
            return
        failpoint("deliver.heard")
        if self._clerk is None:
            self._chunk.counts.add(self._settle(told))
            return
        before, self._writing = self._writing, self._clerk.submit(self._settle, told)
        self._count(before)

    def wait(self) -> None:
        """Return when nothing is being written; raises what writing met."""
        written, self._writing = self._writing, None
        self._count(written)

    def _count(self, written: Future[Counts] | None) -> None:
        if written is not None:
            self._chunk.counts.add(written.result())

    def _settle(self, told: list[AttemptResult]) -> Counts:
        """Write outcomes in one transaction, then let the journal forget them."""
        written = self._database.run(lambda connection: self._write(connection, told), by_index=True)
        self._note_full_mailboxes(told)
        if self._delivery.journal is not None:
            self._delivery.journal.settled([(each.ready.id, each.ready.attempt) for each in told])
        return written

    def _write(self, connection: sa.Connection, told: list[AttemptResult]) -> Counts:
        written = outcomes.write(connection, self._delivery, self._chunk.lane, told)
        failpoint("deliver.written")
        return written

    def _note_full_mailboxes(self, told: list[AttemptResult]) -> None:
        """Count mailboxes that took nothing as soft bounces, once a day and mail; rare, and after the outcome."""
        now = self._delivery.clock.now()
        full = [each for each in told if each.outcome.outcome == "retry" and "5.2.2" in each.outcome.code]
        reports = [
            Report(
                provider="smtp",
                event_id=f"{each.ready.id}:{now // DAY}",
                kind="bounce",
                at=now,
                severity="soft",
                message=each.ready.id,
                address=each.ready.address,
                detail={"code": each.outcome.code, "diagnostic": each.outcome.reply},
            )
            for each in full
        ]
        if reports:
            key = self._delivery.suppression_key
            self._database.run(lambda connection: record(connection, reports, now=now, suppression_key=key))
