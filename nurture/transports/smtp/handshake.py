"""The start of an SMTP session: greeting, EHLO, TLS, authentication. A failure here is no mail's fault."""

import base64
from collections.abc import Generator
from typing import Any

from nurture.transports.smtp.options import SmtpOptions
from nurture.transports.smtp.replies import UNREADABLE, Reply, ReplyMeaning, interpret_reply
from nurture.transports.smtp.socket import SmtpSocket, SocketWait
from nurture.transports.types import Stage


class SessionRefused(Exception):
    """The server refused the session before any mail."""

    def __init__(self, meaning: ReplyMeaning, reply: Reply) -> None:
        """Keep the reply and its meaning."""
        super().__init__(reply.text)
        self.meaning = meaning
        self.reply = reply


def connect(socket: SmtpSocket, options: SmtpOptions, address: Any) -> Generator[SocketWait, None, None]:
    """Connect and read the greeting. Raises ConnectionLost, ReplyTimeout, SessionRefused, ssl.SSLError."""
    yield from socket.connect(address, seconds=options.connect)
    if options.tls == "implicit":
        yield from socket.start_tls(options.tls_context(), options.host, seconds=options.greeting)
    yield from _expect(socket, 2, stage="connect", seconds=options.greeting)


def negotiate(socket: SmtpSocket, options: SmtpOptions) -> Generator[SocketWait, None, dict[str, str]]:
    """Send EHLO, start TLS and authenticate, as the options say; return the server's extensions (name -> value).

    There is no fallback to clear text. Raises ConnectionLost, ReplyTimeout, SessionRefused, ssl.SSLError.
    """
    extensions = yield from _send_ehlo(socket, options)
    if options.tls == "starttls":
        if "STARTTLS" not in extensions:
            raise _refuse_session(
                "the server offers no STARTTLS; to send in clear text, say so with ?tls=none"
            )
        yield from _command(socket, options, "STARTTLS")
        yield from socket.start_tls(options.tls_context(), options.host, seconds=options.command)
        # RFC 3207, 4.2: the extensions offered before TLS are void.
        extensions = yield from _send_ehlo(socket, options)
    if options.user:
        yield from _authenticate(socket, options, extensions)
    return extensions


def _send_ehlo(socket: SmtpSocket, options: SmtpOptions) -> Generator[SocketWait, None, dict[str, str]]:
    name = options.name or _literal(socket.local_address())
    yield from _write_line(socket, options, f"EHLO {name}")
    reply = yield from socket.read_reply(seconds=options.command)
    if reply.code in (500, 502):
        # A server without EHLO has no extensions.
        yield from _command(socket, options, f"HELO {name}")
        return {}
    if reply.code // 100 != 2:
        raise SessionRefused(interpret_reply("greeted", reply), reply)
    parts = (line.partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): value.strip() for keyword, _, value in parts}


def _authenticate(
    socket: SmtpSocket, options: SmtpOptions, extensions: dict[str, str]
) -> Generator[SocketWait, None, None]:
    offered = extensions.get("AUTH", "").upper().split()
    user, password = options.user, options.password
    if "PLAIN" in offered:
        yield from _command(socket, options, f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        yield from _command(socket, options, "AUTH LOGIN", 3)
        yield from _command(socket, options, _base64(user), 3)
        yield from _command(socket, options, _base64(password))
    else:
        raise _refuse_session(
            "the server offers neither AUTH PLAIN nor LOGIN; leave user and password out of MAIL_URL"
        )


def _command(
    socket: SmtpSocket, options: SmtpOptions, line: str, expected: int = 2
) -> Generator[SocketWait, None, Reply]:
    yield from _write_line(socket, options, line)
    return (yield from _expect(socket, expected, stage="greeted", seconds=options.command))


def _write_line(socket: SmtpSocket, options: SmtpOptions, line: str) -> Generator[SocketWait, None, None]:
    yield from socket.write(line.encode() + b"\r\n", seconds=options.command)


def _expect(
    socket: SmtpSocket, expected: int, *, stage: Stage, seconds: float
) -> Generator[SocketWait, None, Reply]:
    reply = yield from socket.read_reply(seconds=seconds)
    if reply.code // 100 != expected:
        raise SessionRefused(interpret_reply(stage, reply), reply)
    return reply


def _refuse_session(text: str) -> SessionRefused:
    return SessionRefused(ReplyMeaning("lane_paused"), Reply(UNREADABLE, "", text))


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
