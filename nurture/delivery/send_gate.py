"""From a claimed chunk to letters that may leave now: rendering, then the wire gate, window by window.

`letters` is a generator that a transport draws from when it can begin a letter: only then is the next window
rendered and put through the gate, so that a slow server never holds letters that passed long ago. What passed
and could not begin in time passes the gate again; what does not pass goes back to the guard.
"""

from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

import sqlalchemy as sa

from nurture.contacts.queries import wake_contacts
from nurture.database.bulk import Row
from nurture.database.engine import Database, encode
from nurture.delivery import lanes, send_gate_queries
from nurture.delivery.claim import pause_broken_measure, verdict_for_render_error
from nurture.delivery.compose import compose_mail
from nurture.delivery.journal.recovery import count_window, write_down
from nurture.delivery.kept_bytes import sealed
from nurture.delivery.outcome_writer import OutcomeWriter
from nurture.delivery.types import WINDOW_SECONDS, WIRE_LEASE, Chunk, Delivery, ReadyMessage
from nurture.delivery.verdicts import encode_verdict
from nurture.domain.instant import Instant
from nurture.ledger.queries import lock_waiting_contacts
from nurture.rendering.errors import TemplateFault
from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.types import OutgoingMail

#: Of the bytes' SHA-256: 128 bits tell mails apart.
_DIGEST_CHARACTERS = 32
#: Windows in a row that were over before their first letter began: the database is too slow to send by.
_FRUITLESS_MAX = 3


class SendGate:
    """The letters of one chunk on their way to a transport."""

    def __init__(self, database: Database, delivery: Delivery, chunk: Chunk) -> None:
        """Begin with all of the chunk's messages ready and none rendered."""
        self._database = database
        self._delivery = delivery
        self._chunk = chunk
        #: What became of the letters that were given to the transport.
        self.outcome_writer = OutcomeWriter(database, delivery, chunk)
        self._queue: deque[ReadyMessage] = deque(chunk.ready)
        # Rendered and not begun; some may have passed a gate whose time is over.
        self._rendered: deque[tuple[ReadyMessage, OutgoingMail]] = deque()
        # Past the gate that is open now, and not begun.
        self._passed: deque[tuple[ReadyMessage, OutgoingMail]] = deque()
        self.counts = chunk.counts

    def letters(self) -> Iterator[OutgoingMail]:
        """Yield letters that may begin now; ends when none is left or the lane's rate is used up."""
        fruitless = 0
        while fruitless < _FRUITLESS_MAX and self._fill():
            self.outcome_writer.wait()
            # Counted from before the gate: who is stopped between gate and letter finds the time over.
            opened = monotonic()
            passed_at = self._pass(list(islice(self._rendered, self._delivery.window)))
            fruitless = fruitless + 1 if self._passed else fruitless
            while self._passed and monotonic() - opened <= WINDOW_SECONDS:
                fruitless = 0
                ready, letter = self._passed.popleft()
                self.outcome_writer.begin(ready, letter, passed_at=passed_at)
                yield letter
            self._rendered.extendleft(reversed(self._passed))
            self._passed.clear()
            # Written while the next window is rendered.
            self.outcome_writer.flush()

    def close(self) -> None:
        """Give back what was never begun; it is due again at once."""
        left = [*(ready for ready, _ in (*self._passed, *self._rendered)), *self._queue]
        self._passed.clear()
        self._rendered.clear()
        self._queue.clear()
        if left:
            self.counts["not_begun"] += len(left)
            self._give_back(left, "not_begun")

    # ---- rendering -------------------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Render until a window is full or nothing is left; tells whether there is anything to send."""
        while self._queue and len(self._rendered) < self._delivery.window:
            ready = self._queue.popleft()
            try:
                self._rendered.append((ready, compose_mail(self._delivery, ready)))
            except TemplateFault as fault:
                self._unmade(ready, fault)
        return bool(self._rendered)

    def _unmade(self, ready: ReadyMessage, fault: TemplateFault) -> None:
        """Skip the mail that lacks a value; for a broken template pause its measure, and let the mail wait."""

        def work(connection: sa.Connection) -> str:
            now = self._delivery.clock.now()
            verdict = verdict_for_render_error(ready.verdict, fault, now=now)
            row: Row = {
                **_of_attempt(ready),
                "status": "skipped" if verdict.action == "skip" else "waiting",
                "reason": verdict.reason,
                "due_at": verdict.until or ready.due_at,
                "settled_at": now if verdict.action == "skip" else None,
                "verdict": encode_verdict(verdict, at=now),
            }
            awaited = lock_waiting_contacts(connection, [_of_run(ready)] if verdict.action == "skip" else [])
            send_gate_queries.hold_back(connection, [row], worker=self._delivery.worker)
            if awaited:
                wake_contacts(connection, awaited, at=now)
            if verdict.action == "defer":
                pause_broken_measure(connection, ready.measure, fault, now=now)
            return "skipped" if verdict.action == "skip" else "template_broken"

        self.counts[self._database.run(work, by_index=True)] += 1

    # ---- the gate --------------------------------------------------------------------------------------

    def _pass(self, window: list[tuple[ReadyMessage, OutgoingMail]]) -> Instant:
        """Put a window through the wire gate; returns when it was."""
        failpoint("wire.rendered")
        now, granted, passed, number = self._database.run(
            lambda connection: self._gate(connection, window), by_index=True
        )
        through = [ready for ready, _ in window[:granted] if ready.id in passed]
        write_down(self._delivery, self._chunk.lane, number, through, at=now)
        for _ in window[:granted]:
            self._rendered.popleft()
        if granted < len(window):
            # The rate is used up: what is left goes back, and the lane comes up again with new tokens.
            self.close()
        self._passed.extend(each for each in window[:granted] if each[0].id in passed)
        failpoint("wire.passed")
        self.counts["changed"] += granted - len(passed)
        self.counts.more |= granted > len(passed)
        return now

    def _gate(
        self, connection: sa.Connection, window: list[tuple[ReadyMessage, OutgoingMail]]
    ) -> tuple[Instant, int, set[int], int]:
        number = count_window(connection, self._delivery)
        now = self._delivery.clock.now()
        lease = self._delivery.clock.lease_now(connection)
        granted = lanes.take_tokens(connection, self._chunk.lane, len(window), now=now)
        rows = [_at_gate(ready, letter) for ready, letter in window[:granted]]
        worker = self._delivery.worker
        passed = send_gate_queries.pass_gate(
            connection, rows, worker=worker, now=now, lease=lease, until=lease + WIRE_LEASE
        )
        back = [_of_attempt(ready) for ready, _ in window[:granted] if ready.id not in passed]
        send_gate_queries.give_back(connection, back, worker=worker, due_at=now, reason="changed")
        failpoint("wire.gated")
        return now, granted, passed, number

    def _give_back(self, left: list[ReadyMessage], reason: str) -> None:
        rows = [_of_attempt(ready) for ready in left]

        def work(connection: sa.Connection) -> None:
            now = self._delivery.clock.now()
            send_gate_queries.give_back(
                connection, rows, worker=self._delivery.worker, due_at=now, reason=reason
            )

        self._database.run(work, by_index=True)


def _of_attempt(ready: ReadyMessage) -> Row:
    return {"id": ready.id, "attempt": ready.attempt}


def _of_run(ready: ReadyMessage) -> Row:
    return {"contact_id": ready.owner_id, "measure": ready.measure, "run_key": ready.run_key}


def _at_gate(ready: ReadyMessage, letter: OutgoingMail) -> Row:
    """Return the message as the gate compares it; transactional mail keeps its bytes from here on."""
    keeps = ready.purpose == "transactional"
    context = encode(sealed(ready.context, letter.data)) if keeps else None
    # Most processors have it built in: half the time of BLAKE2 for a mail.
    digest = sha256(letter.data).hexdigest()[:_DIGEST_CHARACTERS]
    return {
        **_of_attempt(ready),
        "contact_id": ready.contact_id,
        "content_hash": digest,
        "context": context,
    }
