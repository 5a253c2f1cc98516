"""One SMTP connection: it starts a session, sends mail after mail, and knows for each how far it got.

With PIPELINING the MAIL, RCPT and DATA of a mail leave together, and those of the next mail follow the final dot at
once (RFC 2920 allows it), so a mail costs one round trip. There is never more than one final dot without a reply.
`smtp.SmtpTransport` drives an `SmtpConnection`: it resumes it when its socket is ready. The connection gets mails
from its `Dispatcher` and reports outcomes to it; it is idle while the dispatcher has no mail for it.
"""

import ssl
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, Protocol

from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.smtp.envelope import dot_stuff, envelope_commands, explain_unsendable
from nurture.transports.smtp.handshake import SessionRefused, connect, negotiate
from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Reply, ReplyMeaning, interpret_reply, printable
from nurture.transports.smtp.socket import ConnectionLost, ReplyTimeout, SmtpSocket, SocketWait
from nurture.transports.types import Outcome, OutgoingMail, Result, Stage

#: The envelope's commands and the first digit of the reply that each expects.
_ENVELOPE: Final[tuple[tuple[Stage, int], ...]] = (("mail", 2), ("rcpt", 2), ("data", 3))
#: The next envelope is pipelined behind a final dot only while the server answers dots within this time. Behind a slow
#: dot the next mail would wait too long after its send gate.
_PROMPT_SECONDS: Final = 0.5

#: Address family and socket address, as `socket.getaddrinfo` returns them.
Address = tuple[int, Any]
#: A part of a session; None means that the connection is idle until there is a mail.
Session = Generator[SocketWait | None, None, Any]


class Dispatcher(Protocol):
    """Hands mails to connections and takes their outcomes."""

    def take_mail(self) -> OutgoingMail | None:
        """Return the next mail to begin, None when there is none now."""

    def report(self, outcome: Outcome) -> None:
        """Take the outcome of a mail."""

    def give_back(self, mail: OutgoingMail, reason: str) -> None:
        """Take back a mail of which the server read nothing, or nothing that counts."""

    def session_failed(self, meaning: ReplyMeaning, stage: Stage, reply: Reply, address: "Address") -> None:
        """React to a connection that ended before it could take a mail."""

    def report_stage(self, mail: OutgoingMail, stage: Stage, reply: str) -> None:
        """Take how far a mail got."""


class SmtpConnection:
    """One connection and the mails on it."""

    def __init__(self, options: SmtpOptions, address: Address, dispatcher: Dispatcher) -> None:
        """Create the socket; nothing is sent before `resume`. address: (family, socket address)."""
        self.options = options
        self.dispatcher = dispatcher
        self.socket = SmtpSocket(address[0], tls=options.tls == "implicit")
        self.open = True
        # Connected, and without a mail.
        self.idle = False
        # The monotonic second since which it is idle, and the one until which it waits otherwise; 0: not begun.
        self.idle_since = 0.0
        self.deadline = 0.0
        self.waits_to_write = False
        self._address = address
        self._stage: Stage = "connect"
        self._mail: OutgoingMail | None = None
        # The mail whose envelope is pipelined behind the current final dot.
        self._pipelined: OutgoingMail | None = None
        self._extensions: dict[str, str] = {}
        self._mails_begun = 0
        # The count of bytes sent at which the current mail's final dot is out; 0 outside DATA.
        self._dot_at = 0
        self._needs_reset = False
        # Whether the server has answered the current mail at all.
        self._answered = False
        self._is_prompt = False
        self._session = self._run_session()

    @property
    def is_starting(self) -> bool:
        """True until it can take its first mail."""
        return self.open and self._stage in ("connect", "greeted")

    @property
    def has_no_mail(self) -> bool:
        """True while it is idle or starting."""
        return self.idle or self.is_starting

    @property
    def awaits_server(self) -> bool:
        """True while only the server, or the end of its deadline, moves it."""
        return self.open and not self.idle and self.deadline > 0

    def is_reusable(self, *, idle_seconds: float) -> bool:
        """Return whether a spare connection can be used again: not idle for too long, not past its deadline."""
        now = monotonic()
        if not self.idle:
            return self.open and self.deadline > now
        return now - self.idle_since <= idle_seconds and self.socket.is_quiet()

    # ---- driven by the transport -----------------------------------------------------------------------

    def resume(self) -> None:
        """Continue until the next wait, idleness or end; call it when the socket is ready or there is a mail."""
        self._step(None)

    def time_out(self) -> None:
        """Continue after the deadline has passed without an answer."""
        self._step(ReplyTimeout("no answer in time"))

    def _step(self, error: ReplyTimeout | None) -> None:
        try:
            wait = self._session.throw(error) if error else next(self._session)
        except StopIteration:
            self.close()
            return
        self.idle = wait is None
        if wait is None:
            self.idle_since = monotonic()
        else:
            self.deadline, self.waits_to_write = wait.until, wait.write

    def close(self) -> None:
        """Close it at once, without QUIT."""
        self.open = self.idle = False
        self.socket.close()

    def quit(self) -> None:
        """Send QUIT and close; nothing waits for the reply, because every mail on it has its outcome."""
        if self.idle:
            self._send_quit()
        self.close()

    def _send_quit(self) -> None:
        with suppress(OSError):
            self.socket.socket.send(b"QUIT\r\n")

    # ---- the session -----------------------------------------------------------------------------------

    def _run_session(self) -> Session:
        try:
            yield from self._start()
            yield from self._send_mails()
            self._send_quit()
        except SessionRefused as refusal:
            self.dispatcher.session_failed(refusal.meaning, self._stage, refusal.reply, self._address)
        except (ConnectionLost, ReplyTimeout, OSError) as error:
            # A fault of the certificate or of TLS is ours or an attacker's, never a reason for clear text.
            self._end_mails(error)

    def _end_mails(self, error: Exception) -> None:
        """Report the outcome of every mail on this connection by its stage."""
        is_tls_error = isinstance(error, ssl.SSLError)
        stage = self._stage
        if self._dot_at and self.socket.bytes_sent >= self._dot_at:
            stage = "dot"
        reply = Reply(UNREADABLE, "", printable(_describe_error(error)))
        mail, self._mail = self._mail, None
        pipelined, self._pipelined = self._pipelined, None
        if stage in ("connect", "greeted"):
            meaning = ReplyMeaning("lane_paused" if is_tls_error else "retry")
            self.dispatcher.session_failed(meaning, stage, reply, self._address)
        elif mail and stage == "dot":
            self._report(mail, ReplyMeaning("in_doubt"), stage, reply)
        elif mail and not self._answered and isinstance(error, ConnectionLost):
            # The server had closed an idle connection before it read anything of this mail.
            self.dispatcher.give_back(mail, reply.text)
        elif mail:
            self._report(mail, ReplyMeaning("retry"), stage, reply)
        if pipelined:
            self.dispatcher.give_back(pipelined, reply.text)

    def _start(self) -> Session:
        failpoint("smtp.connect")
        yield from connect(self.socket, self.options, self._address[1])
        self._stage = "greeted"
        self._extensions = yield from negotiate(self.socket, self.options)
        self._stage = "mail"

    def _write_line(self, line: str) -> Generator[SocketWait, None, None]:
        yield from self.socket.write(line.encode() + b"\r\n", seconds=self.options.command)

    def _send_mails(self) -> Session:
        """Send mail after mail; idle while there is none. Ends when the connection has had enough mails."""
        pipelining = "PIPELINING" in self._extensions
        while self._mails_begun < self.options.per_connection:
            mail = self._pipelined
            if mail is None:
                mail = self._take_mail()
                if mail is None:
                    yield None
                    continue
                if pipelining:
                    yield from self._write_envelope(mail)
            self._mail, self._pipelined, self._answered = mail, None, False
            accepted = yield from (
                self._read_envelope_replies(mail) if pipelining else self._send_envelope_stepwise(mail)
            )
            if accepted:
                yield from self._send_text(mail, pipelining=pipelining)
            self._mails_begun += 1
            self._mail = None

    def _take_mail(self) -> OutgoingMail | None:
        """Return the next mail that this server can take; report the failure of those that it cannot."""
        while (mail := self.dispatcher.take_mail()) is not None:
            problem = explain_unsendable(mail, self._extensions)
            if not problem:
                return mail
            self._report(mail, ReplyMeaning("failed"), "greeted", Reply(UNREADABLE, "", problem))
        return None

    # ---- one mail --------------------------------------------------------------------------------------

    def _encode_envelope(self, mail: OutgoingMail) -> bytes:
        lines = envelope_commands(mail, self._extensions)
        if self._needs_reset:
            lines.insert(0, "RSET")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _write_envelope(self, mail: OutgoingMail) -> Session:
        failpoint("smtp.mail")
        self._stage, self._mail, self._answered = "mail", mail, False
        yield from self.socket.write(self._encode_envelope(mail), seconds=self.options.command)

    def _read_envelope_replies(self, mail: OutgoingMail) -> Generator[SocketWait, None, bool]:
        """Read the replies to a pipelined envelope; return whether the server waits for the text."""
        if self._needs_reset:
            yield from self._read_reset_reply()
        refusal: tuple[Stage, Reply] | None = None
        for stage, expected in _ENVELOPE:
            if refusal is None:
                self._stage = stage
            if stage == "rcpt":
                failpoint("smtp.rcpt")
            elif stage == "data":
                failpoint("smtp.data")
            reply = yield from self._read_envelope_reply(stage)
            if reply.code // 100 != expected and refusal is None:
                refusal = (stage, reply)
                if _ends_session(reply):
                    break
            elif refusal is not None and stage == "data" and reply.code // 100 == 3:
                yield from self._send_empty_text(mail, *refusal)
        if refusal is None:
            return True
        self._refuse(mail, *refusal)
        return False

    def _read_reset_reply(self) -> Generator[SocketWait, None, None]:
        """Read the reply to RSET. Raises ConnectionLost when the server refuses it."""
        reply = yield from self.socket.read_reply(seconds=self.options.command)
        if reply.code // 100 != 2:
            raise ConnectionLost(f"RSET was answered {reply.shown} {reply.text}")
        self._needs_reset = False

    def _read_envelope_reply(self, stage: Stage) -> Generator[SocketWait, None, Reply]:
        seconds = self.options.data if stage == "data" else self.options.command
        reply = yield from self.socket.read_reply(seconds=seconds)
        self._answered = True
        return reply

    def _send_empty_text(
        self, mail: OutgoingMail, stage: Stage, reply: Reply
    ) -> Generator[SocketWait, None, None]:
        """Send an empty text to a server that accepts DATA although it refused the mail."""
        if stage == "mail":
            # With MAIL refused and DATA accepted, it is unknown to whom an empty text would go.
            self._refuse(mail, stage, reply)
            raise ConnectionLost("the server asked for a text after it had refused MAIL")
        yield from self._write_line(".")
        yield from self.socket.read_reply(seconds=self.options.dot)

    def _send_envelope_stepwise(self, mail: OutgoingMail) -> Generator[SocketWait, None, bool]:
        """Send the envelope to a server without PIPELINING; return whether the server waits for the text."""
        if self._needs_reset:
            self._stage = "mail"
            yield from self._write_line("RSET")
            yield from self._read_reset_reply()
        for line, (stage, expected) in zip(envelope_commands(mail, self._extensions), _ENVELOPE, strict=True):
            self._stage = stage
            yield from self._write_line(line)
            reply = yield from self._read_envelope_reply(stage)
            if reply.code // 100 != expected:
                self._refuse(mail, stage, reply)
                return False
        return True

    def _refuse(self, mail: OutgoingMail, stage: Stage, reply: Reply) -> None:
        """Report a mail whose envelope was refused. Raises ConnectionLost when the reply ends the session."""
        self._mail = None
        if stage == "mail" and reply.code == 421 and self._mails_begun:
            # The server ends a connection that has had enough mails: this mail goes to another one.
            self.dispatcher.give_back(mail, reply.text)
        else:
            self._report(mail, interpret_reply(stage, reply), stage, reply)
        if _ends_session(reply):
            raise ConnectionLost(reply.text)
        self._needs_reset = True

    def _send_text(self, mail: OutgoingMail, *, pipelining: bool) -> Session:
        """Write the text with its final dot, and the next envelope behind it; read the reply to the dot."""
        data = dot_stuff(mail.data)
        self._stage = "data"
        self._dot_at = self.socket.bytes_sent + len(data)
        if pipelining and self._is_prompt and self._mails_begun + 1 < self.options.per_connection:
            self._pipelined = self._take_mail()
        if self._pipelined:
            data += self._encode_envelope(self._pipelined)
        # Reported last, because taking the next mail may have waited for its send gate.
        self.dispatcher.report_stage(mail, "dot", "")
        yield from self.socket.write(data, seconds=self.options.block)
        failpoint("smtp.dot")
        since = monotonic()
        reply = yield from self.socket.read_reply(seconds=self.options.dot)
        failpoint("smtp.replied")
        self._is_prompt = monotonic() - since < _PROMPT_SECONDS
        self._dot_at, self._mail, self._stage = 0, None, "mail"
        recorded = reply.shown if reply.code // 100 == 2 else f"{reply.code} {reply.text}"
        self.dispatcher.report_stage(mail, "replied", recorded)
        self._report(mail, interpret_reply("replied", reply), "replied", reply)
        if _ends_session(reply):
            raise ConnectionLost(reply.text)

    def _report(self, mail: OutgoingMail, meaning: ReplyMeaning, stage: Stage, reply: Reply) -> None:
        self.dispatcher.report(build_outcome(mail, meaning, stage, reply))


def build_outcome(mail: OutgoingMail, meaning: ReplyMeaning, stage: Stage, reply: Reply) -> Outcome:
    """Return the outcome of a mail, from the meaning of a reply at a stage."""
    result: Result = meaning.outcome
    return Outcome(
        message_id=mail.message_id,
        attempt=mail.attempt,
        outcome=result,
        stage=stage,
        code=reply.shown,
        reply=reply.text,
        suppress=meaning.suppress,
        slow=meaning.slow,
        retry_after=meaning.retry_after,
    )


def _ends_session(reply: Reply) -> bool:
    """Return whether a reply ends the session: 421 does, and after an unreadable one the next cannot be assigned."""
    return reply.code in (421, UNREADABLE)


def _describe_error(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error)
