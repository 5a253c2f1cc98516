"""One SMTP connection: opens, says letter after letter, and knows for each how far it got.

With PIPELINING a letter's MAIL, RCPT and DATA leave together, and behind the final dot already stand those of
the next letter (RFC 2920 allows it), so a letter costs one round trip. There is never more than one final
dot without a reply. A `Conversation` is driven by `smtp.SmtpTransport`: it is resumed when its socket is
ready, parks when there is no letter for it, and tells outcomes to its `Desk`.
"""

import base64
import ssl
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, Protocol

from nurture.clock import monotonic
from nurture.mail.envelope import envelope, stuffed, unsendable
from nurture.mail.letter import Letter, Outcome, Result, Stage
from nurture.mail.replies import UNREADABLE, Judgement, Reply, judge, printable
from nurture.mail.smtp_options import SmtpOptions
from nurture.mail.wire import Cut, Silence, Want, Wire

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

    def take(self) -> Letter | None:
        """Return the next letter to begin, None when there is none now."""

    def report(self, outcome: Outcome) -> None:
        """Take what became of a letter."""

    def give_back(self, letter: Letter, reason: str) -> None:
        """Take back a letter of which the server read nothing, or nothing that counts."""

    def closed(self, judgement: Judgement, stage: Stage, reply: Reply, address: "Address") -> None:
        """Be told that the connection ended before it could take a letter."""

    def note(self, letter: Letter, stage: Stage, reply: str) -> None:
        """Be told how far a letter got."""


class Refused(Exception):
    """The server's reply ends the conversation before any letter."""

    def __init__(self, judgement: Judgement, reply: Reply) -> None:
        """Keep the reply and what it means."""
        super().__init__(reply.text)
        self.judgement = judgement
        self.reply = reply


class Conversation:
    """One connection and the letters on it."""

    def __init__(self, options: SmtpOptions, address: Address, desk: Desk) -> None:
        """Prepare; nothing happens before `resume`. address: (family, socket address)."""
        self.options = options
        self.desk = desk
        self.wire = Wire(address[0], tls=options.tls == "implicit")
        self.open = True
        # Parked: connected, and waiting for a letter.
        self.parked = False
        self.parked_at = 0.0
        self.until = 0.0
        self.writing = False
        self._address = address
        self._stage: Stage = "connect"
        self._letter: Letter | None = None
        self._following: Letter | None = None
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
            self._stage = "mail"
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
        options = self.options
        yield from self.wire.connect(self._address[1], seconds=options.connect)
        if options.tls == "implicit":
            yield from self.wire.secure(options.context(), options.host, seconds=options.greeting)
        yield from self._expect(2, seconds=options.greeting)
        self._stage = "greeted"
        yield from self._hello()
        if options.tls == "starttls":
            yield from self._starttls()
        if options.user:
            yield from self._authenticate()

    def _expect(self, hundred: int, *, seconds: float) -> Generator[Want, None, Reply]:
        reply = yield from self.wire.reply(seconds=seconds)
        if reply.code // 100 != hundred:
            raise Refused(judge(self._stage, reply), reply)
        return reply

    def _command(self, line: str, hundred: int = 2) -> Generator[Want, None, Reply]:
        yield from self._say(line)
        return (yield from self._expect(hundred, seconds=self.options.command))

    def _say(self, line: str) -> Generator[Want, None, None]:
        yield from self.wire.write(line.encode() + b"\r\n", seconds=self.options.command)

    def _hello(self) -> Talk:
        name = self.options.name or _literal(self.wire.local_address())
        yield from self._say(f"EHLO {name}")
        reply = yield from self.wire.reply(seconds=self.options.command)
        self._extensions = {}
        if reply.code in (500, 502):
            # An old server: it knows no extension.
            yield from self._command(f"HELO {name}")
            return
        if reply.code // 100 != 2:
            raise Refused(judge(self._stage, reply), reply)
        for line in reply.lines[1:]:
            keyword, _, value = line.partition(" ")
            self._extensions[keyword.upper()] = value.strip()

    def _starttls(self) -> Talk:
        if "STARTTLS" not in self._extensions:
            text = "the server offers no STARTTLS; to send in clear text, say so with ?tls=none"
            raise Refused(Judgement("lane_paused"), Reply(UNREADABLE, "", text))
        yield from self._command("STARTTLS")
        yield from self.wire.secure(self.options.context(), self.options.host, seconds=self.options.command)
        # RFC 3207: what was offered before TLS is forgotten.
        yield from self._hello()

    def _authenticate(self) -> Talk:
        offered = self._extensions.get("AUTH", "").upper().split()
        user, password = self.options.user, self.options.password
        if "PLAIN" in offered:
            yield from self._command(f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
        elif "LOGIN" in offered:
            yield from self._command("AUTH LOGIN", 3)
            yield from self._command(_base64(user), 3)
            yield from self._command(_base64(password))
        else:
            text = "the server offers neither AUTH PLAIN nor LOGIN; leave user and password out of MAIL_URL"
            raise Refused(Judgement("lane_paused"), Reply(UNREADABLE, "", text))

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

    def _next(self) -> Letter | None:
        """Take the next letter that this server can be given; report those that it cannot."""
        while (letter := self.desk.take()) is not None:
            fault = unsendable(letter, self._extensions)
            if not fault:
                return letter
            self._report(letter, Judgement("failed"), "greeted", Reply(UNREADABLE, "", fault))
        return None

    # ---- one letter ------------------------------------------------------------------------------------

    def _envelope_bytes(self, letter: Letter) -> bytes:
        lines = envelope(letter, self._extensions)
        if self._needs_reset:
            lines.insert(0, "RSET")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _write_envelope(self, letter: Letter) -> Talk:
        self._stage, self._letter, self._heard = "mail", letter, False
        yield from self.wire.write(self._envelope_bytes(letter), seconds=self.options.command)

    def _replies(self, letter: Letter) -> Generator[Want, None, bool]:
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

    def _withhold(self, letter: Letter, stage: Stage, reply: Reply) -> Generator[Want, None, None]:
        """Answer a server that wants a text although it refused the letter: give it none."""
        if stage == "mail":
            # With MAIL refused and DATA welcome, whom an empty text would reach is anybody's guess.
            self._refuse(letter, stage, reply)
            raise Cut("the server asked for a text after it had refused MAIL")
        yield from self._say(".")
        yield from self.wire.reply(seconds=self.options.dot)

    def _one_by_one(self, letter: Letter) -> Generator[Want, None, bool]:
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

    def _refuse(self, letter: Letter, stage: Stage, reply: Reply) -> None:
        self._letter = None
        if stage == "mail" and reply.code == 421 and self._said:
            # The server ends a connection that has served enough: the letter takes another.
            self.desk.give_back(letter, reply.text)
        else:
            self._report(letter, judge(stage, reply), stage, reply)
        if _closing(reply):
            raise Cut(reply.text)
        self._needs_reset = True

    def _content(self, letter: Letter, *, pipelining: bool) -> Talk:
        """Write the text with its final dot, and behind it the next envelope; read the dot's reply."""
        data = stuffed(letter.data)
        self.desk.note(letter, "dot", "")
        self._stage = "data"
        self._dot_at = self.wire.left + len(data)
        if pipelining and self._prompt and self._said + 1 < self.options.per_connection:
            self._following = self._next()
        if self._following:
            data += self._envelope_bytes(self._following)
        yield from self.wire.write(data, seconds=self.options.block)
        since = monotonic()
        reply = yield from self.wire.reply(seconds=self.options.dot)
        self._prompt = monotonic() - since < _PROMPT_SECONDS
        self._dot_at, self._letter, self._stage = 0, None, "mail"
        self.desk.note(letter, "replied", reply.shown)
        self._report(letter, judge("replied", reply), "replied", reply)
        if _closing(reply):
            raise Cut(reply.text)

    def _report(self, letter: Letter, judgement: Judgement, stage: Stage, reply: Reply) -> None:
        self.desk.report(outcome_of(letter, judgement, stage, reply))


def outcome_of(letter: Letter, judgement: Judgement, stage: Stage, reply: Reply) -> Outcome:
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


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error)
