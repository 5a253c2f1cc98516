"""Mails that a transport has, and their outcomes, written to the database a window at a time.

`OutcomeWriter` keeps which mail each outcome belongs to and writes the outcomes in the order they came
(`delivery.outcomes`). On PostgreSQL a thread writes one window while the next is rendered: a commit waits for the
disk, and rendering does not.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.delivery.outcomes import AttemptResult, write_outcomes
from nurture.delivery.types import Chunk, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.feedback import WEAK_SEVERITIES, Report, Severity
from nurture.domain.inbound.refusals import judge_refusal
from nurture.domain.instant import DAY, Instant
from nurture.feedback.record import record
from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.types import Outcome, OutgoingMail

#: Outcomes are written at least this often while mails are under way.
_FLUSH_SECONDS = 1.0


class OutcomeWriter:
    """Collects outcomes and writes them a window at a time; leaving the block writes the rest and waits for it.

    At any moment the outcomes without a row are those of one window at most and, of the window before it, of two mails
    a connection: one behind its final dot, one just answered. Outcomes are handed over when the last mail of a window
    has begun, and written before the next window passes the send gate.
    """

    def __init__(self, database: Database, delivery: Delivery, chunk: Chunk) -> None:
        """Begin with no mail under way. Counts of written outcomes are added to the chunk's."""
        self._database = database
        self._delivery = delivery
        self._chunk = chunk
        self._under_way: dict[int, tuple[ReadyMessage, OutgoingMail, Instant]] = {}
        self._results: list[AttemptResult] = []
        # The monotonic second at which the oldest of the results came.
        self._results_since = 0.0
        self._resources = ExitStack()
        self._executor: ThreadPoolExecutor | None = None
        self._writing: Future[Counts] | None = None

    def __enter__(self) -> Self:
        """Start the background writer (PostgreSQL only); SQLite takes one writer at a time, so a thread is no use."""
        if not self._database.is_sqlite:
            self._executor = self._resources.enter_context(ThreadPoolExecutor(1, "outcomes"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the buffered outcomes; raises the error of a write that failed."""
        with self._resources:
            self.flush()
            self.wait()

    def begin(self, ready: ReadyMessage, mail: OutgoingMail, *, passed_at: Instant) -> None:
        """Record that the transport now has a mail, which passed the send gate at `passed_at`."""
        self._under_way[ready.id] = (ready, mail, passed_at)

    def add(self, outcome: Outcome) -> None:
        """Buffer an outcome; write the buffer when it holds a window or its oldest outcome is a second old."""
        if not self._results:
            self._results_since = monotonic()
        begun = self._under_way.pop(outcome.message_id, None)
        if begun is not None:
            self._results.append(AttemptResult(outcome, *begun))
        if len(self._results) >= self._delivery.window or monotonic() - self._results_since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the buffered outcomes; raises the error of the write before when that failed."""
        results, self._results = self._results, []
        if not results:
            return
        failpoint("deliver.heard")
        if self._executor is None:
            self._chunk.counts.add(self._write(results))
            return
        before, self._writing = self._writing, self._executor.submit(self._write, results)
        self._add_counts(before)

    def wait(self) -> None:
        """Wait until no write is running; raises the error of a write that failed."""
        written, self._writing = self._writing, None
        self._add_counts(written)

    def _add_counts(self, written: Future[Counts] | None) -> None:
        if written is not None:
            self._chunk.counts.add(written.result())

    def _write(self, results: list[AttemptResult]) -> Counts:
        """Write outcomes in one transaction, then let the journal forget their attempts; return their counts."""
        counts = self._database.run(
            lambda connection: self._write_in_transaction(connection, results), by_index=True
        )
        self._report_weak_bounces(results)
        if self._delivery.lane_log is not None:
            heard = [(result.ready.address, result.outcome) for result in results]
            self._delivery.lane_log.note(self._chunk.lane, heard)
        if self._delivery.journal is not None:
            self._delivery.journal.forget_attempts(
                [(result.ready.id, result.ready.attempt) for result in results]
            )
        return counts

    def _write_in_transaction(self, connection: sa.Connection, results: list[AttemptResult]) -> Counts:
        counts = write_outcomes(connection, self._delivery, self._chunk.lane, results)
        failpoint("deliver.written")
        return counts

    def _report_weak_bounces(self, results: list[AttemptResult]) -> None:
        """Record each refusal that counts when it repeats, such as a full mailbox, once a day for a mail.

        They are rare, so they have a transaction of its own after that of the outcomes.
        """
        now = self._delivery.clock.now()
        reports = [
            Report(
                provider="smtp",
                event_id=f"{result.ready.id}:{now // DAY}",
                kind="bounce",
                at=now,
                severity=severity,
                message=result.ready.id,
                address=result.ready.address,
                detail={"code": result.outcome.code, "diagnostic": result.outcome.reply},
            )
            for result in results
            if (severity := _counted_severity(result.outcome))
        ]
        if reports:
            key = self._delivery.suppression_key
            self._database.run(lambda connection: record(connection, reports, now=now, suppression_key=key))


def _counted_severity(outcome: Outcome) -> Severity:
    """Return the severity of a refusal that suppresses the address when it repeats; "" for every other outcome."""
    if outcome.suppress or outcome.code[:1] != "5" or outcome.stage not in ("rcpt", "data", "replied"):
        return ""
    refusal = judge_refusal(outcome.code, outcome.reply)
    if outcome.outcome == "retry":
        return "soft" if refusal.full else ""
    counts = outcome.outcome == "failed" and refusal.severity in WEAK_SEVERITIES and not refusal.about_mail
    return refusal.severity if counts else ""
