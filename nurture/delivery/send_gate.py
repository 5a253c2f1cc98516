"""The send gate: ready messages are rendered, and pass one last check in the database right before they leave.

`SendGate.mails` is a generator. A transport draws a mail from it only when it can begin that mail; only then the next
window is rendered and put through the gate. So a slow server never holds mails that passed long ago. Mails that passed
and could not begin in time pass the gate again. Messages that do not pass go back to the guard.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from nurture.contacts.queries import wake_contacts
from nurture.database.bulk import Row
from nurture.database.engine import Database, encode
from nurture.delivery import lanes, send_gate_queries
from nurture.delivery.claim import pause_broken_measure, verdict_for_render_error
from nurture.delivery.compose import compose_mail
from nurture.delivery.journal.recovery import count_window, record_window
from nurture.delivery.kept_bytes import hash_mail, keep_bytes
from nurture.delivery.outcome_writer import OutcomeWriter
from nurture.delivery.types import WINDOW_SECONDS, WIRE_LEASE, Chunk, Delivery, ReadyMessage
from nurture.delivery.verdicts import encode_verdict
from nurture.domain.instant import Instant
from nurture.domain.pace.domain_rests import rests_now
from nurture.ledger.queries import lock_waiting_contacts
from nurture.rendering.errors import TemplateFault
from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.types import OutgoingMail

#: Windows in a row whose time was over before their first mail began: the database is too slow to send.
_EMPTY_WINDOWS_MAX = 3


class SendGate:
    """The mails of one chunk on their way to a transport."""

    def __init__(self, database: Database, delivery: Delivery, chunk: Chunk) -> None:
        """Begin with all of the chunk's messages ready and none rendered."""
        self._database = database
        self._delivery = delivery
        self._chunk = chunk
        #: Writes the outcomes of the mails that were given to the transport.
        self.outcome_writer = OutcomeWriter(database, delivery, chunk)
        self._queue: deque[ReadyMessage] = deque(chunk.ready)
        # Rendered and not begun; some may have passed a gate whose time is over.
        self._rendered: deque[tuple[ReadyMessage, OutgoingMail]] = deque()
        # Past the gate that is open now, and not begun.
        self._passed: deque[tuple[ReadyMessage, OutgoingMail]] = deque()
        self.counts = chunk.counts

    def mails(self) -> Iterator[OutgoingMail]:
        """Yield mails that may begin now; ends when none is left or the lane's rate is used up."""
        empty_windows = 0
        while empty_windows < _EMPTY_WINDOWS_MAX and self._render_window():
            self.outcome_writer.wait()
            # Counted from before the gate: a process that is stopped between gate and mail finds the time over.
            opened = monotonic()
            passed_at = self._pass_gate(list(islice(self._rendered, self._delivery.window)))
            empty_windows = empty_windows + 1 if self._passed else empty_windows
            while self._passed and monotonic() - opened <= WINDOW_SECONDS:
                empty_windows = 0
                ready, mail = self._passed.popleft()
                self.outcome_writer.begin(ready, mail, passed_at=passed_at)
                yield mail
            self._rendered.extendleft(reversed(self._passed))
            self._passed.clear()
            # This window's outcomes are written while the next window is rendered.
            self.outcome_writer.flush()

    def close(self) -> None:
        """Set the messages that were not begun back to waiting, due at once."""
        left = [*(ready for ready, _ in (*self._passed, *self._rendered)), *self._queue]
        self._passed.clear()
        self._rendered.clear()
        self._queue.clear()
        if left:
            self.counts["not_begun"] += len(left)
            self._return_to_waiting(left, "not_begun")

    # ---- rendering -------------------------------------------------------------------------------------

    def _render_window(self) -> bool:
        """Render until a window is full or no message is left; return whether there is a mail to send."""
        while self._queue and len(self._rendered) < self._delivery.window:
            ready = self._queue.popleft()
            try:
                self._rendered.append((ready, compose_mail(self._delivery, ready)))
            except TemplateFault as error:
                count = self._database.run(
                    lambda connection, ready=ready, error=error: self._write_render_error(  # type: ignore[misc]
                        connection, ready, error
                    ),
                    by_index=True,
                )
                self.counts[count] += 1
        return bool(self._rendered)

    def _write_render_error(
        self, connection: sa.Connection, ready: ReadyMessage, error: TemplateFault
    ) -> str:
        """Skip a mail that lacks a value; defer one whose template is broken, and pause its measure.

        Returns the name of the count.
        """
        now = self._delivery.clock.now()
        verdict = verdict_for_render_error(ready.verdict, error, now=now)
        is_skipped = verdict.action == "skip"
        row: Row = {
            **ready.attempt_row,
            "status": "skipped" if is_skipped else "waiting",
            "reason": verdict.reason,
            "due_at": verdict.until or ready.due_at,
            "settled_at": now if is_skipped else None,
            "verdict": encode_verdict(verdict, at=now),
        }
        waiting = lock_waiting_contacts(connection, [ready.run_row] if is_skipped else [])
        send_gate_queries.write_render_verdicts(connection, [row], worker=self._delivery.worker)
        if waiting:
            wake_contacts(connection, waiting, at=now)
        if not is_skipped:
            pause_broken_measure(connection, ready.measure, error, now=now)
        return "skipped" if is_skipped else "template_broken"

    # ---- the gate --------------------------------------------------------------------------------------

    def _pass_gate(self, window: list[tuple[ReadyMessage, OutgoingMail]]) -> Instant:
        """Put a window through the gate and into the journal; return the instant of the gate."""
        failpoint("wire.rendered")
        now, granted, passed, number = self._database.run(
            lambda connection: self._check_window(connection, window), by_index=True
        )
        through = [ready for ready, _ in window[:granted] if ready.id in passed]
        record_window(self._delivery, self._chunk.lane, number, through, at=now)
        for _ in window[:granted]:
            self._rendered.popleft()
        if granted < len(window):
            # The rate is used up: the rest goes back, and the lane is due again when it has new tokens.
            self.close()
        self._passed.extend(pair for pair in window[:granted] if pair[0].id in passed)
        failpoint("wire.passed")
        self.counts["changed"] += granted - len(passed)
        self.counts.more |= granted > len(passed)
        return now

    def _check_window(
        self, connection: sa.Connection, window: list[tuple[ReadyMessage, OutgoingMail]]
    ) -> tuple[Instant, int, set[int], int]:
        """Check a window in one transaction.

        Returns the instant, how many mails the lane's rate granted, the ids that passed, and the window's number.
        """
        number = count_window(connection, self._delivery)
        now = self._delivery.clock.now()
        lease = self._delivery.clock.lease_now(connection)
        granted = lanes.take_tokens(
            connection, self._chunk.lane, len(window), now=now, is_urgent=self._chunk.is_urgent
        )
        worker = self._delivery.worker
        resting = self._find_resting(connection, [ready for ready, _ in window[:granted]], now)
        rows = [_row_at_gate(ready, mail) for ready, mail in window[:granted] if ready.id not in resting]
        passed = send_gate_queries.pass_gate(
            connection, rows, worker=worker, now=now, lease=lease, until=lease + WIRE_LEASE
        )
        changed = [
            ready.attempt_row
            for ready, _ in window[:granted]
            if ready.id not in passed and ready.id not in resting
        ]
        send_gate_queries.return_to_waiting(connection, changed, worker=worker, due_at=now, reason="changed")
        send_gate_queries.return_to_waiting(
            connection, list(resting.values()), worker=worker, due_at=now, reason="domain_rest"
        )
        failpoint("wire.gated")
        return now, granted, passed, number

    def _find_resting(
        self, connection: sa.Connection, messages: Sequence[ReadyMessage], now: Instant
    ) -> dict[int, Row]:
        """Return message -> its row, for mails to domains that rest since the guard let them pass."""
        rests = lanes.load_domain_rests(connection, self._chunk.lane)
        return {
            ready.id: ready.attempt_row
            for ready in messages
            if ready.purpose != "transactional" and rests_now(rests, ready.address, now) is not None
        }

    def _return_to_waiting(self, messages: Sequence[ReadyMessage], reason: str) -> None:
        rows = [ready.attempt_row for ready in messages]

        def write(connection: sa.Connection) -> None:
            now = self._delivery.clock.now()
            send_gate_queries.return_to_waiting(
                connection, rows, worker=self._delivery.worker, due_at=now, reason=reason
            )

        self._database.run(write, by_index=True)


def _row_at_gate(ready: ReadyMessage, mail: OutgoingMail) -> Row:
    """Return the message's row for the gate; transactional mail keeps its bytes from here on."""
    is_kept = ready.purpose == "transactional"
    context = encode(keep_bytes(ready.context, mail.data)) if is_kept else None
    return {
        **ready.attempt_row,
        "contact_id": ready.contact_id,
        "content_hash": hash_mail(mail.data),
        "context": context,
    }
