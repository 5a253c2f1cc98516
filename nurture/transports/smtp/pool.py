"""The SMTP transport: many mails over many reused connections, driven by the thread that sends.

`send` takes mails one by one, only when a connection is free for the next, so a caller may open its send gate window by
window from a generator. Connections outlive a call; several threads may send at once and share them. After a fork each
process starts with none.
"""

import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence

from nurture.runtime.clock import monotonic
from nurture.transports.smtp.connection import Address, SmtpConnection, build_outcome
from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Reply, ReplyMeaning, printable
from nurture.transports.types import Outcome, OutgoingMail, Stage, StageListener, ignore_stage

#: How long a thread waits before it tries again when other threads use every connection.
_RETRY_ACQUIRE_SECONDS = 0.05


class SmtpTransport:
    """Sends through one SMTP relay; `close` it to end its sessions with QUIT."""

    def __init__(self, options: SmtpOptions, *, on_stage: StageListener = ignore_stage) -> None:
        """Keep the options; the first mail opens the first connection."""
        self.options = options
        self.on_stage = on_stage
        self._lock = threading.Lock()
        self._released = threading.Condition(self._lock)
        self._forget_connections()

    def _forget_connections(self) -> None:
        self._pid = os.getpid()
        self._spare: list[SmtpConnection] = []
        # The connections that are open or being opened. A closed one counts until its socket is closed.
        self._count = 0

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Send; yield the outcome of each mail as it becomes known, in any order.

        mails: a sequence has passed the send gate as a whole; its mails that have not begun within `fresh` seconds come
        back as `retry` with `retry_after` 0. Of any other iterable a mail is taken when it can begin. When the server
        cannot be reached, or says that we are at fault, the rest of a sequence gets that outcome and no further mail is
        taken from an iterable. When the caller stops the iteration, the mails under way have no outcome; the caller's
        lease settles those that the server may have.
        """
        self.begin_in_process()
        yield from SendCall(self, mails).outcomes()

    def begin_in_process(self) -> None:
        """Close the connections of the process that this one was forked from, once however many threads ask."""
        with self._lock:
            if self._pid == os.getpid():
                return
            for connection in self._spare:
                connection.close()
            self._forget_connections()

    def close(self) -> None:
        """Send QUIT on every idle connection and close it."""
        with self._lock:
            spare, self._spare = self._spare, []
        for connection in spare:
            connection.quit()
        self._give_up_places(len(spare))

    # ---- connections, shared between threads -----------------------------------------------------------

    def acquire(self, address: Address, call: "SendCall") -> SmtpConnection | None:
        """Return a spare connection or a new one, None when all that are allowed are in use.

        Raises OSError when the system gives no socket of this address family.
        """
        with self._lock:
            while self._spare:
                connection = self._spare.pop()
                if connection.is_reusable(idle_seconds=self.options.idle):
                    connection.dispatcher = call
                    return connection
                self._count -= 1
                connection.quit()
            if self._count >= self.options.connections:
                return None
            self._count += 1
        try:
            return SmtpConnection(self.options, address, call)
        except OSError:
            self._give_up_places(1)
            raise

    def release(self, connection: SmtpConnection, *, usable: bool) -> None:
        """Take a connection back; keep it for the next call when it is usable."""
        if usable and connection.open:
            with self._lock:
                self._spare.append(connection)
                self._released.notify()
            return
        connection.close()
        self._give_up_places(1)

    def _give_up_places(self, count: int) -> None:
        """Count connections off; only when they are closed, or another thread opens one too many."""
        with self._lock:
            self._count -= count
            self._released.notify(count)

    def wait_for_release(self) -> None:
        """Wait until another thread releases a connection, or a moment."""
        with self._lock:
            self._released.wait(_RETRY_ACQUIRE_SECONDS)


class SendCall:
    """One call of `send`: its mails, its connections, and the outcomes not yet yielded. It is their `Dispatcher`."""

    def __init__(self, transport: SmtpTransport, mails: Iterable[OutgoingMail]) -> None:
        """Take no mail yet."""
        self._transport = transport
        self._options = transport.options
        self._source = iter(mails)
        # Mails not begun, with the second at which they were taken; a whole sequence counts as taken now.
        self._queue: deque[tuple[OutgoingMail, float]] = deque()
        self._is_sequence = isinstance(mails, Sequence)
        self._since = monotonic()
        self._under_way = 0
        self._given_back: set[tuple[int, int]] = set()
        self._outcomes: deque[Outcome] = deque()
        self._connections: set[SmtpConnection] = set()
        # Those connections that wait for a mail, and the first second at which another's deadline may pass.
        self._idle: list[SmtpConnection] = []
        self._first_deadline = float("inf")
        self._limit = self._options.connections
        self._selector = selectors.DefaultSelector()
        # Connection -> (descriptor, event) as registered with the selector.
        self._registered: dict[SmtpConnection, tuple[int, int]] = {}
        self._addresses: list[Address] = []
        # The outcome of the mails that are not begun any more; None while mails are begun.
        self._stopped: tuple[ReplyMeaning, Stage, Reply] | None = None

    # ---- called by connections -------------------------------------------------------------------------

    def take_mail(self) -> OutgoingMail | None:
        """Return the next mail that passed its gate recently enough to begin."""
        while self._stopped is None and self._has_mail():
            mail, since = self._queue.popleft()
            self._under_way += 1
            if monotonic() - since <= self._options.fresh:
                return mail
            text = f"not begun within {self._options.fresh:g} s of the send gate"
            meaning = ReplyMeaning("retry", retry_after=0)
            self.report(build_outcome(mail, meaning, "connect", _own_reply(text)))
        return None

    def report(self, outcome: Outcome) -> None:
        """Keep an outcome for the caller; our own fault stops the rest."""
        self._under_way -= 1
        self._outcomes.append(outcome)
        if outcome.outcome == "lane_paused" and self._stopped is None:
            reply = Reply(UNREADABLE, "", f"not begun: {outcome.code} {outcome.reply}"[:500])
            self._stopped = (ReplyMeaning("lane_paused"), "connect", reply)

    def give_back(self, mail: OutgoingMail, reason: str) -> None:
        """Begin the mail once more on another connection; the second time it is a retry."""
        key = (mail.message_id, mail.attempt)
        if key in self._given_back:
            self.report(build_outcome(mail, ReplyMeaning("retry"), "mail", _own_reply(reason)))
            return
        self._given_back.add(key)
        self._under_way -= 1
        self._queue.appendleft((mail, monotonic()))

    def session_failed(self, meaning: ReplyMeaning, stage: Stage, reply: Reply, address: Address) -> None:
        """Continue at the host's next address, with fewer connections, or not at all."""
        if meaning.outcome == "retry" and stage == "connect" and self._addresses[1:]:
            if address in self._addresses:
                self._addresses.remove(address)
            return
        others = sum(1 for connection in self._connections if connection.open) - 1
        if meaning.outcome == "lane_paused" or others < 1:
            self._stopped = self._stopped or (meaning, stage, reply)
        self._limit = max(1, others)

    def report_stage(self, mail: OutgoingMail, stage: Stage, reply: str) -> None:
        """Pass it on to the transport's listener."""
        self._transport.on_stage(mail, stage, reply)

    # ---- the loop --------------------------------------------------------------------------------------

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Drive all connections until every mail taken has its outcome; yield the outcomes."""
        try:
            while True:
                self._dispatch()
                if self._stopped:
                    self._end_mails_not_begun()
                while self._outcomes:
                    yield self._outcomes.popleft()
                # While mails are under way none is taken before a connection is free for it.
                if not self._under_way and (self._stopped or not self._has_mail()):
                    return
                self._wait_and_resume()
        finally:
            self._selector.close()
            for connection in self._connections:
                # A connection with a mail on it is of no use to the next call.
                self._transport.release(connection, usable=connection.has_no_mail)

    def _has_mail(self) -> bool:
        """Return whether there is a mail to begin; takes one from the source to find out."""
        if self._queue:
            return True
        mail = next(self._source, None)
        if mail is None:
            return False
        self._queue.append((mail, self._since if self._is_sequence else monotonic()))
        return True

    def _dispatch(self) -> None:
        """Resume idle connections and open more while there are mails; release those without a mail."""
        idle, self._idle = self._idle, []
        for connection in idle:
            if self._stopped or not self._has_mail():
                self._release_idle(connection)
            else:
                self._resume(connection)
        while not self._stopped and len(self._connections) < self._limit:
            starting = sum(1 for connection in self._connections if connection.is_starting)
            if starting >= max(4, len(self._connections) - starting) or not self._has_mail():
                return
            if not self._addresses and not self._resolve():
                return
            try:
                acquired = self._transport.acquire(self._addresses[0], self)
            except OSError as error:
                self._socket_failed(error)
                continue
            if acquired is None:
                return
            self._connections.add(acquired)
            if acquired.awaits_server:
                self._register(acquired)
            else:
                self._resume(acquired)

    def _socket_failed(self, error: OSError) -> None:
        """Continue at the host's next address, with the connections there are, or not at all."""
        if self._addresses[1:]:
            del self._addresses[0]
        elif self._connections:
            self._limit = len(self._connections)
        else:
            reply = _own_reply(f"no socket could be opened: {error.strerror}")
            self._stopped = (ReplyMeaning("retry"), "connect", reply)

    def _resolve(self) -> bool:
        """Look up the host's addresses; return whether there are any."""
        host, port = self._options.host, self._options.port
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            reply = _own_reply(f"{host} could not be resolved: {error.strerror}")
            self._stopped = (ReplyMeaning("retry"), "connect", reply)
            return False
        self._addresses = [(entry[0], entry[4]) for entry in entries]
        return True

    def _wait_and_resume(self) -> None:
        """Wait until connections are ready or past their deadlines, and continue them."""
        if not self._connections:
            self._transport.wait_for_release()
            return
        for key, _ in self._selector.select(max(0.0, self._first_deadline - monotonic())):
            self._resume(key.data)
        if (now := monotonic()) >= self._first_deadline:
            waiting = (connection for connection in self._connections if not connection.idle)
            for connection in [connection for connection in waiting if connection.deadline <= now]:
                connection.time_out()
                self._register(connection)
            self._first_deadline = min(
                (connection.deadline for connection in self._connections if not connection.idle),
                default=float("inf"),
            )

    def _resume(self, connection: SmtpConnection) -> None:
        connection.resume()
        self._register(connection)

    def _release_idle(self, connection: SmtpConnection) -> None:
        """Release a connection that this call does not need any more to other threads."""
        self._selector.unregister(self._registered.pop(connection)[0])
        self._connections.discard(connection)
        self._transport.release(connection, usable=True)

    def _register(self, connection: SmtpConnection) -> None:
        """Register what the connection waits for now, or drop it when it has ended."""
        registered = self._registered.get(connection)
        if not connection.open:
            if registered:
                self._selector.unregister(registered[0])
                del self._registered[connection]
            self._connections.discard(connection)
            self._transport.release(connection, usable=False)
            return
        if connection.idle:
            self._idle.append(connection)
        else:
            self._first_deadline = min(self._first_deadline, connection.deadline)
        event = selectors.EVENT_WRITE if connection.waits_to_write else selectors.EVENT_READ
        if registered is None:
            descriptor = connection.socket.fileno()
            self._selector.register(descriptor, event, connection)
            self._registered[connection] = (descriptor, event)
        elif registered[1] != event:
            self._selector.modify(registered[0], event, connection)
            self._registered[connection] = (registered[0], event)

    def _end_mails_not_begun(self) -> None:
        """Give every mail that passed the gate and was not begun the outcome that stopped the call."""
        meaning, stage, reply = self._stopped or (ReplyMeaning("retry"), "connect", _own_reply(""))
        while self._queue or (self._is_sequence and self._has_mail()):
            mail, _ = self._queue.popleft()
            self._outcomes.append(build_outcome(mail, meaning, stage, reply))


def _own_reply(text: str) -> Reply:
    """Return our own text in the form of a reply."""
    return Reply(UNREADABLE, "", printable(text))
