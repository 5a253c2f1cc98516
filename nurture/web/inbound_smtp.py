"""The SMTP and LMTP edge of inbound mail: behind Postfix, or where a provider's route delivers.

Every mail is answered only after the commit of all that follows from it: 250 means taken, 451 means the sender
keeps it and comes again. It relays nothing, sends no bounce, and holds at most a few megabytes of a mail.
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

#: Bytes of one mail; larger ones are refused (552) before they are read whole.
SIZE_MAX: Final = 10 * 1024 * 1024
#: Seconds a client may be silent, and connections at a time.
SILENT_SECONDS: Final = 60
CONNECTIONS_MAX: Final = 100
_BUSY: Final = b"421 4.7.0 Too many connections, try again later\r\n"


class _Door:
    """What aiosmtpd asks at each step."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self.connections = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Sequence[str]
    ) -> str:
        if envelope.rcpt_tos:
            # LMTP answers once for each recipient, and one mail here is about one person.
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
        return await asyncio.to_thread(self._inbound.take, envelope.mail_from or "", recipient, data)

    async def handle_exception(self, error: Exception) -> str:
        # Ours to mend; the mail stays where it is until then.
        _log.error("a mail could not be taken", error=type(error).__name__, exc_info=error)
        return TRY_LATER


def _bounded(kind: type[SMTP], door: _Door) -> type[SMTP]:
    """Return the protocol with a bound on connections."""

    class Bounded(kind):  # type: ignore[misc, valid-type]
        counted = False

        def connection_made(self, transport: Any) -> None:
            if door.connections >= CONNECTIONS_MAX:
                transport.write(_BUSY)
                transport.close()
                return
            door.connections += 1
            self.counted = True
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            if self.counted:
                door.connections -= 1
                self.counted = False
                super().connection_lost(error)

        def data_received(self, data: bytes) -> None:
            if self.counted:
                super().data_received(data)

        def eof_received(self) -> bool | None:
            return super().eof_received() if self.counted else False

    return Bounded


class MailServer:
    """Listens for SMTP and LMTP in one event loop."""

    def __init__(self, inbound: Inbound, *, hostname: str = "nurture") -> None:
        """Hand mails to `inbound`. hostname: what the greeting says."""
        self._door = _Door(inbound)
        self._hostname = hostname
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, *, lmtp: bool = False) -> int:
        """Listen on an address; returns the port."""
        kind = _bounded(LMTP if lmtp else SMTP, self._door)

        def protocol() -> asyncio.BaseProtocol:
            made: asyncio.BaseProtocol = kind(
                self._door,
                data_size_limit=SIZE_MAX,
                hostname=self._hostname,
                ident="nurture",
                enable_SMTPUTF8=True,
                timeout=SILENT_SECONDS,
                command_call_limit=1000,
                loop=asyncio.get_running_loop(),
            )
            return made

        server = await asyncio.get_running_loop().create_server(protocol, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no new connection; what is being taken is finished by its thread."""
        for server in self._servers:
            server.close()
        self._servers.clear()


async def serve(server: MailServer) -> None:
    """Run until INT or TERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await server.close()
