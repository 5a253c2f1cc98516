"""One SMTP connection: opens, says letter after letter, and knows for each how far it got.

With PIPELINING a letter's MAIL, RCPT and DATA leave together, and behind the final dot already stand those of
the next letter (RFC 2920 allows it), so a letter costs one round trip. There is never more than one final
dot without a reply. A `Conversation` is driven by `smtp.SmtpTransport`: it is resumed when its socket is
ready, parks when there is no letter for it, and tells outcomes to its `Desk`.
"""

import ssl
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, Protocol

from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.smtp.envelope import envelope, stuffed, unsendable
from nurture.transports.smtp.handshake import Refused, connect, introduce
from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Judgement, Reply, judge, printable
from nurture.transports.smtp.socket import Cut, Silence, Want, Wire
from nurture.transports.types import Outcome, OutgoingMail, Result, Stage

# The envelope's commands and the hundreds of the replies that let it go on.
_ENVELOPE: Final[tuple[tuple[Stage, int], ...]] = (("mail", 2), ("rcpt", 2), ("data", 3))
# The next letter's envelope is put behind a final dot only while the server answers dots this fast; behind
#: a slow one the letter would wait on a gate that has grown old.
_PROMPT_SECONDS: Final = 0.5

#: Address family and socket address, as `socket.getaddrinfo` gives them.
Address = tuple[int, Any]
#: A piece of conversation; None stands for parking until there is a letter.
Talk = Generator[Want | None, None, Any]


class Desk(Protocol):
    """Gives letters out and takes outcomes."""

    def take(self) -> OutgoingMail | None:
        """Return the next letter to begin, None when there is none now."""

    def report(self, outcome: Outcome) -> None:
        """Take what became of a letter."""

    def give_back(self, letter: OutgoingMail, reason: str) -> None:
        """Take back a letter of which the server read nothing, or nothing that counts."""

    def closed(self, judgement: Judgement, stage: Stage, reply: Reply, address: "Address") -> None:
        """Be told that the connection ended before it could take a letter."""

    def note(self, letter: OutgoingMail, stage: Stage, reply: str) -> None:
        """Be told how far a letter got."""


class SmtpConnection:
    """One connection and the letters on it."""

    def __init__(self, options: SmtpOptions, address: Address, desk: Desk) -> None:
        """Prepare; nothing happens before `resume`. address: (family, socket address)."""
        self.options = options
        self.desk = desk
        self.wire = Wire(address[0], tls=options.tls == "implicit")
        self.open = True
        # Parked: connected, and waiting for a letter.
        self.parked = False
        # The monotonic second at which it parked, and the one until which it waits otherwise; 0: not begun.
        self.parked_at = 0.0
        self.until = 0.0
        self.writing = False
        self._address = address
        self._stage: Stage = "connect"
        self._letter: OutgoingMail | None = None
        self._following: OutgoingMail | None = None
        self._extensions: dict[str, str] = {}
        self._said = 0
        # The count of bytes left at which the current letter's final dot is out; 0 while not in DATA.
        self._dot_at = 0
        self._needs_reset = False
        self._heard = False
        self._prompt = False
        self._talk = self._whole()

    @property
    def is_opening(self) -> bool:
        """True until it can take its first letter."""
        return self.open and self._stage in ("connect", "greeted")

    @property
    def is_free(self) -> bool:
        """True while no letter is in it."""
        return self.parked or self.is_opening

    @property
    def is_under_way(self) -> bool:
        """True while it waits for the server: only that, or its time being over, moves it."""
        return self.open and not self.parked and self.until > 0

    def is_fit(self, *, idle: float) -> bool:
        """Tell whether a connection that was put aside can be taken up: not idle too long, not past its time."""
        now = monotonic()
        if not self.parked:
            return self.open and self.until > now
        return now - self.parked_at <= idle and self.wire.is_quiet()

    # ---- driven from outside ---------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on until the next wait, parking or end. Call when the socket is ready or a letter is there."""
        self._step(None)

    def silence(self) -> None:
        """Tell it that its time is over."""
        self._step(Silence("no answer in time"))

    def _step(self, error: Silence | None) -> None:
        try:
            want = self._talk.throw(error) if error else next(self._talk)
        except StopIteration:
            self.close()
            return
        self.parked = want is None
        if want is None:
            self.parked_at = monotonic()
        else:
            self.until, self.writing = want.until, want.write

    def close(self) -> None:
        """End it at once, without QUIT."""
        self.open = self.parked = False
        self.wire.close()

    def leave(self) -> None:
        """Say QUIT and close. Nobody waits for the answer: every letter on it has its outcome."""
        if self.parked:
            self._quit()
        self.close()

    def _quit(self) -> None:
        with suppress(OSError):
            self.wire.socket.send(b"QUIT\r\n")

    # ---- the conversation ------------------------------------------------------------------------------

    def _whole(self) -> Talk:
        try:
            yield from self._opening()
            yield from self._letters()
            self._quit()
        except Refused as refusal:
            self.desk.closed(refusal.judgement, self._stage, refusal.reply, self._address)
        except (Cut, Silence, OSError) as end:
            # TLS: a certificate or protocol fault is ours or an attacker's, never a reason for clear text.
            self._ended(end)

    def _ended(self, end: Exception) -> None:
        """Give every letter on this connection what its stage says."""
        tls = isinstance(end, ssl.SSLError)
        stage = self._stage
        if self._dot_at and self.wire.left >= self._dot_at:
            stage = "dot"
        reply = Reply(UNREADABLE, "", printable(_in_words(end)))
        letter, self._letter = self._letter, None
        following, self._following = self._following, None
        if stage in ("connect", "greeted"):
            self.desk.closed(Judgement("lane_paused" if tls else "retry"), stage, reply, self._address)
        elif letter and stage == "dot":
            self._report(letter, Judgement("in_doubt"), stage, reply)
        elif letter and not self._heard and isinstance(end, Cut):
            # An idle connection that the server had closed; the letter is none the worse for it.
            self.desk.give_back(letter, reply.text)
        elif letter:
            self._report(letter, Judgement("retry"), stage, reply)
        if following:
            self.desk.give_back(following, reply.text)

    def _opening(self) -> Talk:
        failpoint("smtp.connect")
        yield from connect(self.wire, self.options, self._address[1])
        self._stage = "greeted"
        self._extensions = yield from introduce(self.wire, self.options)
        self._stage = "mail"

    def _say(self, line: str) -> Generator[Want, None, None]:
        yield from self.wire.write(line.encode() + b"\r\n", seconds=self.options.command)

    def _letters(self) -> Talk:
        """Say letter after letter; parks while there is none. Ends when the connection has served enough."""
        pipelining = "PIPELINING" in self._extensions
        while self._said < self.options.per_connection:
            letter = self._following
            if letter is None:
                letter = self._next()
                if letter is None:
                    yield None
                    continue
                if pipelining:
                    yield from self._write_envelope(letter)
            self._letter, self._following, self._heard = letter, None, False
            taken = yield from (self._replies(letter) if pipelining else self._one_by_one(letter))
            if taken:
                yield from self._content(letter, pipelining=pipelining)
            self._said += 1
            self._letter = None

    def _next(self) -> OutgoingMail | None:
        """Take the next letter that this server can be given; report those that it cannot."""
        while (letter := self.desk.take()) is not None:
            fault = unsendable(letter, self._extensions)
            if not fault:
                return letter
            self._report(letter, Judgement("failed"), "greeted", Reply(UNREADABLE, "", fault))
        return None

    # ---- one letter ------------------------------------------------------------------------------------

    def _envelope_bytes(self, letter: OutgoingMail) -> bytes:
        lines = envelope(letter, self._extensions)
        if self._needs_reset:
            lines.insert(0, "RSET")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _write_envelope(self, letter: OutgoingMail) -> Talk:
        failpoint("smtp.mail")
        self._stage, self._letter, self._heard = "mail", letter, False
        yield from self.wire.write(self._envelope_bytes(letter), seconds=self.options.command)

    def _replies(self, letter: OutgoingMail) -> Generator[Want, None, bool]:
        """Read the replies to a pipelined envelope. True: the server waits for the text."""
        if self._needs_reset:
            reset = yield from self.wire.reply(seconds=self.options.command)
            if reset.code // 100 != 2:
                raise Cut(f"RSET was answered {reset.shown} {reset.text}")
            self._needs_reset = False
        refusal: tuple[Stage, Reply] | None = None
        for stage, hundred in _ENVELOPE:
            if refusal is None:
                self._stage = stage
            if stage == "rcpt":
                failpoint("smtp.rcpt")
            elif stage == "data":
                failpoint("smtp.data")
            reply = yield from self.wire.reply(
                seconds=self.options.data if stage == "data" else self.options.command
            )
            self._heard = True
            if reply.code // 100 != hundred and refusal is None:
                refusal = (stage, reply)
                if _closing(reply):
                    break
            elif refusal is not None and stage == "data" and reply.code // 100 == 3:
                yield from self._withhold(letter, *refusal)
        if refusal is None:
            return True
        self._refuse(letter, *refusal)
        return False

    def _withhold(self, letter: OutgoingMail, stage: Stage, reply: Reply) -> Generator[Want, None, None]:
        """Answer a server that wants a text although it refused the letter: give it none."""
        if stage == "mail":
            # With MAIL refused and DATA welcome, whom an empty text would reach is anybody's guess.
            self._refuse(letter, stage, reply)
            raise Cut("the server asked for a text after it had refused MAIL")
        yield from self._say(".")
        yield from self.wire.reply(seconds=self.options.dot)

    def _one_by_one(self, letter: OutgoingMail) -> Generator[Want, None, bool]:
        """Say the envelope to a server without PIPELINING. True: the server waits for the text."""
        if self._needs_reset:
            self._stage = "mail"
            yield from self._say("RSET")
            reset = yield from self.wire.reply(seconds=self.options.command)
            if reset.code // 100 != 2:
                raise Cut(f"RSET was answered {reset.shown} {reset.text}")
            self._needs_reset = False
        for line, (stage, hundred) in zip(envelope(letter, self._extensions), _ENVELOPE, strict=True):
            self._stage = stage
            yield from self._say(line)
            reply = yield from self.wire.reply(
                seconds=self.options.data if stage == "data" else self.options.command
            )
            self._heard = True
            if reply.code // 100 != hundred:
                self._refuse(letter, stage, reply)
                return False
        return True

    def _refuse(self, letter: OutgoingMail, stage: Stage, reply: Reply) -> None:
        self._letter = None
        if stage == "mail" and reply.code == 421 and self._said:
            # The server ends a connection that has served enough: the letter takes another.
            self.desk.give_back(letter, reply.text)
        else:
            self._report(letter, judge(stage, reply), stage, reply)
        if _closing(reply):
            raise Cut(reply.text)
        self._needs_reset = True

    def _content(self, letter: OutgoingMail, *, pipelining: bool) -> Talk:
        """Write the text with its final dot, and behind it the next envelope; read the dot's reply."""
        data = stuffed(letter.data)
        self._stage = "data"
        self._dot_at = self.wire.left + len(data)
        if pipelining and self._prompt and self._said + 1 < self.options.per_connection:
            self._following = self._next()
        if self._following:
            data += self._envelope_bytes(self._following)
        # At the last moment: taking the next letter may have waited for its gate.
        self.desk.note(letter, "dot", "")
        yield from self.wire.write(data, seconds=self.options.block)
        failpoint("smtp.dot")
        since = monotonic()
        reply = yield from self.wire.reply(seconds=self.options.dot)
        failpoint("smtp.replied")
        self._prompt = monotonic() - since < _PROMPT_SECONDS
        self._dot_at, self._letter, self._stage = 0, None, "mail"
        judged_by = reply.shown if reply.code // 100 == 2 else f"{reply.code} {reply.text}"
        self.desk.note(letter, "replied", judged_by)
        self._report(letter, judge("replied", reply), "replied", reply)
        if _closing(reply):
            raise Cut(reply.text)

    def _report(self, letter: OutgoingMail, judgement: Judgement, stage: Stage, reply: Reply) -> None:
        self.desk.report(outcome_of(letter, judgement, stage, reply))


def outcome_of(letter: OutgoingMail, judgement: Judgement, stage: Stage, reply: Reply) -> Outcome:
    """Return the outcome of a letter from what a reply at a stage means."""
    result: Result = judgement.outcome
    return Outcome(
        message_id=letter.message_id,
        attempt=letter.attempt,
        outcome=result,
        stage=stage,
        code=reply.shown,
        reply=reply.text,
        suppress=judgement.suppress,
        slow=judgement.slow,
        retry_after=judgement.retry_after,
    )


def _closing(reply: Reply) -> bool:
    """421 announces the end; after what could not be read nobody knows which reply comes next."""
    return reply.code in (421, UNREADABLE)


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error)
