"""The SMTP transport: many letters over many reused connections, driven by the thread that sends.

`send` takes letters one by one, only when a connection is free for the next, so that a caller may open its
wire gate window by window from a generator. Connections outlive a call; several threads may send at once and
share them. After a fork each process starts with none.
"""

import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence

from nurture.runtime.clock import monotonic
from nurture.transports.smtp.connection import Address, SmtpConnection, outcome_of
from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Judgement, Reply, printable
from nurture.transports.types import Note, Outcome, OutgoingMail, Stage, ignore_stage

# How long a thread that finds every connection taken by others waits before it looks again.
_LOOK_AGAIN_SECONDS = 0.05


class SmtpTransport:
    """Speaks SMTP with one relay. `close` it to say goodbye."""

    def __init__(self, options: SmtpOptions, *, note: Note = ignore_stage) -> None:
        """Keep the options; the first connection is opened by the first letter."""
        self.options = options
        self.note = note
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._pid = os.getpid()
        self._spare: list[SmtpConnection] = []
        self._count = 0

    def send(self, letters: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Send; yield the outcome of each letter as it becomes known, in any order.

        letters: a sequence has passed the wire gate as a whole: those not begun within `fresh` seconds come
        back as `retry` with `retry_after` 0. Of any other iterable a letter is taken when it can begin.
        When the server cannot be reached, or says that we are at fault, the rest of a sequence gets that
        outcome and nothing more is taken from an iterable. Letters of an iteration that is broken off have
        no outcome: who may have been given to the server is for the caller's lease to find out.
        """
        if self._pid != os.getpid():
            with self._lock:
                for conversation in self._spare:
                    conversation.close()
                self._begin_afresh()
        yield from Window(self, letters).outcomes()

    def close(self) -> None:
        """Say QUIT on every idle connection and close it."""
        with self._lock:
            spare, self._spare = self._spare, []
            self._count -= len(spare)
        for conversation in spare:
            conversation.leave()

    # ---- connections, shared between threads -----------------------------------------------------------

    def acquire(self, address: Address, window: "Window") -> SmtpConnection | None:
        """Return a spare connection or begin a new one; None when all that are allowed are in use."""
        with self._lock:
            while self._spare:
                conversation = self._spare.pop()
                if conversation.is_fit(idle=self.options.idle):
                    conversation.desk = window
                    return conversation
                self._count -= 1
                conversation.leave()
            if self._count >= self.options.connections:
                return None
            self._count += 1
        return SmtpConnection(self.options, address, window)

    def release(self, conversation: SmtpConnection, *, usable: bool) -> None:
        """Take a connection back; keep it for the next call if it is usable."""
        with self._lock:
            self._freed.notify()
            if usable and conversation.open:
                self._spare.append(conversation)
                return
            self._count -= 1
        conversation.close()

    def wait_for_release(self) -> None:
        """Wait until another thread gives a connection back, or a moment."""
        with self._lock:
            self._freed.wait(_LOOK_AGAIN_SECONDS)


class Window:
    """One call of `send`: its letters, the connections it has, the outcomes not yet told."""

    def __init__(self, transport: SmtpTransport, letters: Iterable[OutgoingMail]) -> None:
        """Take nothing yet."""
        self._transport = transport
        self._options = transport.options
        self._source = iter(letters)
        # Letters not begun, with the second they were taken; a whole sequence is taken now.
        self._held: deque[tuple[OutgoingMail, float]] = deque()
        self._is_sequence = isinstance(letters, Sequence)
        self._since = monotonic()
        self._begun = 0
        self._given_back: set[tuple[int, int]] = set()
        self._told: deque[Outcome] = deque()
        self._crew: set[SmtpConnection] = set()
        # Those of the crew that wait for a letter, and the first second at which another's time may be over.
        self._parked: list[SmtpConnection] = []
        self._soonest = float("inf")
        self._limit = self._options.connections
        self._selector = selectors.DefaultSelector()
        self._events: dict[SmtpConnection, tuple[int, int]] = {}
        self._addresses: list[Address] = []
        # Why no further letter is begun.
        self._stopped: tuple[Judgement, Stage, Reply] | None = None

    # ---- the desk: called by conversations -------------------------------------------------------------

    def take(self) -> OutgoingMail | None:
        """Return the next letter that is fresh enough to begin."""
        while self._stopped is None and self._waiting():
            letter, since = self._held.popleft()
            self._begun += 1
            if monotonic() - since <= self._options.fresh:
                return letter
            text = f"not begun within {self._options.fresh:g} s of the wire gate"
            self.report(outcome_of(letter, Judgement("retry", retry_after=0), "connect", _saying(text)))
        return None

    def report(self, outcome: Outcome) -> None:
        """Keep an outcome for the caller; our own fault stops the rest."""
        self._begun -= 1
        self._told.append(outcome)
        if outcome.outcome == "lane_paused" and self._stopped is None:
            reply = Reply(UNREADABLE, "", f"not begun: {outcome.code} {outcome.reply}"[:500])
            self._stopped = (Judgement("lane_paused"), "connect", reply)

    def give_back(self, letter: OutgoingMail, reason: str) -> None:
        """Begin the letter anew on another connection, once."""
        key = (letter.message_id, letter.attempt)
        if key in self._given_back:
            self.report(outcome_of(letter, Judgement("retry"), "mail", _saying(reason)))
            return
        self._given_back.add(key)
        self._begun -= 1
        self._held.appendleft((letter, monotonic()))

    def closed(self, judgement: Judgement, stage: Stage, reply: Reply, address: Address) -> None:
        """Go on at the host's next address, with fewer connections, or not at all."""
        if judgement.outcome == "retry" and stage == "connect" and self._addresses[1:]:
            if address in self._addresses:
                self._addresses.remove(address)
            return
        others = sum(1 for conversation in self._crew if conversation.open) - 1
        if judgement.outcome == "lane_paused" or others < 1:
            self._stopped = self._stopped or (judgement, stage, reply)
        self._limit = max(1, others)

    def note(self, letter: OutgoingMail, stage: Stage, reply: str) -> None:
        """Pass on to the journal."""
        self._transport.note(letter, stage, reply)

    # ---- the loop --------------------------------------------------------------------------------------

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Drive all conversations until every letter taken has its outcome."""
        try:
            while True:
                self._hand_out()
                if self._stopped:
                    self._give_up_the_rest()
                while self._told:
                    yield self._told.popleft()
                # While letters are under way none is taken before a connection is free for it.
                if not self._begun and (self._stopped or not self._waiting()):
                    return
                self._turn()
        finally:
            self._selector.close()
            for conversation in self._crew:
                # Opening or parked: of use to the next call. Else a letter is in it.
                self._transport.release(conversation, usable=conversation.is_free)

    def _waiting(self) -> bool:
        """Tell whether there is a letter to begin; takes one from the source to know."""
        if self._held:
            return True
        letter = next(self._source, None)
        if letter is None:
            return False
        self._held.append((letter, self._since if self._is_sequence else monotonic()))
        return True

    def _hand_out(self) -> None:
        """Wake parked connections and get more while letters wait; let go of those that none waits for."""
        parked, self._parked = self._parked, []
        for conversation in parked:
            if self._stopped or not self._waiting():
                self._dismiss(conversation)
            else:
                self._resume(conversation)
        while not self._stopped and len(self._crew) < self._limit:
            opening = sum(1 for one in self._crew if one.is_opening)
            if opening >= max(4, len(self._crew) - opening) or not self._waiting():
                return
            if not self._addresses and not self._resolve():
                return
            acquired = self._transport.acquire(self._addresses[0], self)
            if acquired is None:
                return
            self._crew.add(acquired)
            if acquired.is_under_way:
                self._settle(acquired)
            else:
                self._resume(acquired)

    def _resolve(self) -> bool:
        host, port = self._options.host, self._options.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            reply = _saying(f"{host} could not be resolved: {error.strerror}")
            self._stopped = (Judgement("retry"), "connect", reply)
            return False
        self._addresses = [(entry[0], entry[4]) for entry in found]
        return True

    def _turn(self) -> None:
        """Wait until a connection can go on or its time is over; go on with it."""
        if not self._crew:
            self._transport.wait_for_release()
            return
        for key, _ in self._selector.select(max(0.0, self._soonest - monotonic())):
            self._resume(key.data)
        if (now := monotonic()) >= self._soonest:
            for conversation in [one for one in self._crew if not one.parked and one.until <= now]:
                conversation.silence()
                self._settle(conversation)
            self._soonest = min((one.until for one in self._crew if not one.parked), default=float("inf"))

    def _resume(self, conversation: SmtpConnection) -> None:
        conversation.resume()
        self._settle(conversation)

    def _dismiss(self, conversation: SmtpConnection) -> None:
        """Let other threads have a connection that this call needs no more."""
        self._selector.unregister(self._events.pop(conversation)[0])
        self._crew.discard(conversation)
        self._transport.release(conversation, usable=True)

    def _settle(self, conversation: SmtpConnection) -> None:
        """Register what the connection waits for now, or drop it when it has ended."""
        known = self._events.get(conversation)
        if not conversation.open:
            if known:
                self._selector.unregister(known[0])
                del self._events[conversation]
            self._crew.discard(conversation)
            self._transport.release(conversation, usable=False)
            return
        if conversation.parked:
            self._parked.append(conversation)
        else:
            self._soonest = min(self._soonest, conversation.until)
        event = selectors.EVENT_WRITE if conversation.writing else selectors.EVENT_READ
        if known is None:
            number = conversation.wire.fileno()
            self._selector.register(number, event, conversation)
            self._events[conversation] = (number, event)
        elif known[1] != event:
            self._selector.modify(known[0], event, conversation)
            self._events[conversation] = (known[0], event)

    def _give_up_the_rest(self) -> None:
        """Give every letter that passed the gate and was not begun the outcome that stopped the window."""
        judgement, stage, reply = self._stopped or (Judgement("retry"), "connect", _saying(""))
        while self._held or (self._is_sequence and self._waiting()):
            letter, _ = self._held.popleft()
            self._told.append(outcome_of(letter, judgement, stage, reply))


def _saying(text: str) -> Reply:
    """Return our own words in the place of a reply."""
    return Reply(UNREADABLE, "", printable(text))
