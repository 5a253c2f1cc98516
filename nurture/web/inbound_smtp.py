"""The SMTP and LMTP server for inbound mail, behind Postfix or at the end of a provider's route.

The reply to a mail is sent after all its effects are committed: 250 when the mail is accepted, 451 when the sender
must keep it and retry. The server relays nothing, sends no bounces, and limits the size of a mail.
"""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import Any, Final

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.inbound import NO_SUCH_ADDRESS, TRY_LATER, Inbound
from nurture.domain.errors import Transient
from nurture.runtime.log import get_logger

_log = get_logger("inbound")

#: Largest mail in bytes; larger ones are refused (552) before they are read completely.
SIZE_MAX: Final = 10 * 1024 * 1024
#: Seconds of silence after which a connection is closed, and the most open connections.
SILENT_SECONDS: Final = 60
CONNECTIONS_MAX: Final = 100
_BUSY: Final = b"421 4.7.0 Too many connections, try again later\r\n"


class _SmtpHandler:
    """The handler that aiosmtpd calls for RCPT, DATA and exceptions."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self.connections = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Sequence[str]
    ) -> str:
        if envelope.rcpt_tos:
            # LMTP replies once for each recipient, and a mail here concerns one person.
            return "452 4.5.3 One recipient at a time"
        try:
            is_ours = await asyncio.to_thread(self._inbound.is_ours, address)
        except (SQLAlchemyError, Transient, OSError):
            return TRY_LATER
        if not is_ours:
            return NO_SUCH_ADDRESS
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        data = content if isinstance(content, bytes) else (content or "").encode("utf-8", "replace")
        recipient = envelope.rcpt_tos[0] if envelope.rcpt_tos else ""
        return await asyncio.to_thread(self._inbound.process_mail, envelope.mail_from or "", recipient, data)

    async def handle_exception(self, error: Exception) -> str:
        # A fault of this program: the sender keeps the mail until it is corrected.
        _log.error("a mail could not be processed", error=type(error).__name__, exc_info=error)
        return TRY_LATER


def _limit_connections(kind: type[SMTP], handler: _SmtpHandler) -> type[SMTP]:
    """Return the protocol class with a limit on open connections."""

    class Bounded(kind):  # type: ignore[misc, valid-type]
        counted = False

        def connection_made(self, transport: Any) -> None:
            if handler.connections >= CONNECTIONS_MAX:
                transport.write(_BUSY)
                transport.close()
                return
            handler.connections += 1
            self.counted = True
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            if self.counted:
                handler.connections -= 1
                self.counted = False
                super().connection_lost(error)

        def data_received(self, data: bytes) -> None:
            if self.counted:
                super().data_received(data)

        def eof_received(self) -> bool | None:
            return super().eof_received() if self.counted else False

    return Bounded


class MailServer:
    """Listens for SMTP and LMTP connections in one event loop."""

    def __init__(self, inbound: Inbound, *, hostname: str = "nurture") -> None:
        """Pass mails to `inbound`. hostname: the name in the greeting."""
        self._handler = _SmtpHandler(inbound)
        self._hostname = hostname
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, *, lmtp: bool = False) -> int:
        """Start listening on an address; returns the port."""
        kind = _limit_connections(LMTP if lmtp else SMTP, self._handler)

        def protocol() -> asyncio.BaseProtocol:
            instance: asyncio.BaseProtocol = kind(
                self._handler,
                data_size_limit=SIZE_MAX,
                hostname=self._hostname,
                ident="nurture",
                enable_SMTPUTF8=True,
                timeout=SILENT_SECONDS,
                command_call_limit=1000,
                loop=asyncio.get_running_loop(),
            )
            return instance

        server = await asyncio.get_running_loop().create_server(protocol, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop accepting connections. A mail that is being processed is finished by its thread."""
        for server in self._servers:
            server.close()
        self._servers.clear()


async def serve(server: MailServer) -> None:
    """Run until INT or TERM, then close the server."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await server.close()
