"""How an SMTP connection begins: greeting, EHLO, TLS, authentication. Whoever fails here blames no letter."""

import base64
from collections.abc import Generator
from typing import Any

from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Judgement, Reply, judge
from nurture.transports.smtp.socket import Want, Wire
from nurture.transports.types import Stage


class Refused(Exception):
    """The server's reply ends the conversation before any letter."""

    def __init__(self, judgement: Judgement, reply: Reply) -> None:
        """Keep the reply and what it means."""
        super().__init__(reply.text)
        self.judgement = judgement
        self.reply = reply


def connect(wire: Wire, options: SmtpOptions, address: Any) -> Generator[Want, None, None]:
    """Connect and read the greeting. Raises Cut, Silence, Refused, ssl.SSLError."""
    yield from wire.connect(address, seconds=options.connect)
    if options.tls == "implicit":
        yield from wire.secure(options.context(), options.host, seconds=options.greeting)
    yield from _expect(wire, 2, stage="connect", seconds=options.greeting)


def introduce(wire: Wire, options: SmtpOptions) -> Generator[Want, None, dict[str, str]]:
    """Say EHLO, go over to TLS and log in, as the options want it. Returns the server's extensions.

    There is no way back to clear text. Raises Cut, Silence, Refused, ssl.SSLError.
    """
    extensions = yield from _hello(wire, options)
    if options.tls == "starttls":
        if "STARTTLS" not in extensions:
            raise _our_fault("the server offers no STARTTLS; to send in clear text, say so with ?tls=none")
        yield from _command(wire, options, "STARTTLS")
        yield from wire.secure(options.context(), options.host, seconds=options.command)
        # RFC 3207: what was offered before TLS is forgotten.
        extensions = yield from _hello(wire, options)
    if options.user:
        yield from _authenticate(wire, options, extensions)
    return extensions


def _hello(wire: Wire, options: SmtpOptions) -> Generator[Want, None, dict[str, str]]:
    name = options.name or _literal(wire.local_address())
    yield from _say(wire, options, f"EHLO {name}")
    reply = yield from wire.reply(seconds=options.command)
    if reply.code in (500, 502):
        # An old server: it knows no extension.
        yield from _command(wire, options, f"HELO {name}")
        return {}
    if reply.code // 100 != 2:
        raise Refused(judge("greeted", reply), reply)
    parts = (line.partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): value.strip() for keyword, _, value in parts}


def _authenticate(
    wire: Wire, options: SmtpOptions, extensions: dict[str, str]
) -> Generator[Want, None, None]:
    offered = extensions.get("AUTH", "").upper().split()
    user, password = options.user, options.password
    if "PLAIN" in offered:
        yield from _command(wire, options, f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        yield from _command(wire, options, "AUTH LOGIN", 3)
        yield from _command(wire, options, _base64(user), 3)
        yield from _command(wire, options, _base64(password))
    else:
        raise _our_fault(
            "the server offers neither AUTH PLAIN nor LOGIN; leave user and password out of MAIL_URL"
        )


def _command(wire: Wire, options: SmtpOptions, line: str, hundred: int = 2) -> Generator[Want, None, Reply]:
    yield from _say(wire, options, line)
    return (yield from _expect(wire, hundred, stage="greeted", seconds=options.command))


def _say(wire: Wire, options: SmtpOptions, line: str) -> Generator[Want, None, None]:
    yield from wire.write(line.encode() + b"\r\n", seconds=options.command)


def _expect(wire: Wire, hundred: int, *, stage: Stage, seconds: float) -> Generator[Want, None, Reply]:
    reply = yield from wire.reply(seconds=seconds)
    if reply.code // 100 != hundred:
        raise Refused(judge(stage, reply), reply)
    return reply


def _our_fault(text: str) -> Refused:
    return Refused(Judgement("lane_paused"), Reply(UNREADABLE, "", text))


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
