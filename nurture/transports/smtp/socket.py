"""A non-blocking socket, plain or TLS, that reads SMTP replies and is driven by generators.

Each method that may have to wait is a generator. It yields a `SocketWait` (readable or writable, and until when), and
the loop that drives it resumes it when the socket is ready, or throws `ReplyTimeout` into it when the time is over. So
one thread serves many connections, and the code of one SMTP session still reads from top to bottom.
"""

import os
import select
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from nurture.runtime.clock import monotonic
from nurture.runtime.failpoints import failpoint
from nurture.transports.smtp.replies import BYTES_MAX, LINES_MAX, Reply, is_last, parse_reply


class ConnectionLost(Exception):
    """The connection ended; the message is the reason."""


class ReplyTimeout(Exception):
    """The socket was not ready in time."""


@dataclass(frozen=True, slots=True)
class SocketWait:
    """The wait of a generator: for the socket to be writable, or else readable, until a monotonic second."""

    write: bool
    until: float


class SmtpSocket:
    """One socket, with the count of bytes sent and the bytes received that no reply has used yet."""

    def __init__(self, family: int, *, tls: bool) -> None:
        """Create a socket of this address family; connects to nothing yet. tls: with TLS from the first byte."""
        self.socket: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encrypted = tls
        # Bytes that may have left since the connection was opened.
        self.bytes_sent = 0
        self._received = bytearray()

    def fileno(self) -> int:
        """Return the descriptor the loop waits on."""
        return self.socket.fileno()

    def connect(self, address: Any, *, seconds: float) -> Generator[SocketWait, None, None]:
        """Connect. Raises ConnectionLost with the system's reason."""
        try:
            self.socket.connect(address)
        except BlockingIOError:
            yield SocketWait(write=True, until=monotonic() + seconds)
        except OSError as error:
            raise ConnectionLost(error.strerror or str(error)) from error
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise ConnectionLost(os.strerror(number))

    def start_tls(
        self, context: ssl.SSLContext, host: str, *, seconds: float
    ) -> Generator[SocketWait, None, None]:
        """Do the TLS handshake; the certificate must be valid for the host. Raises OSError (ssl.SSLError)."""
        # Bytes received in clear text before the handshake must not count as received under TLS (RFC 3207, 4.2).
        self._received.clear()
        secured = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket, self.encrypted = secured, True
        until = monotonic() + seconds
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                yield SocketWait(write=False, until=until)
            except ssl.SSLWantWriteError:
                yield SocketWait(write=True, until=until)
            else:
                return

    def write(self, data: bytes, *, seconds: float) -> Generator[SocketWait, None, None]:
        """Write all of the data; `seconds` limits each wait, not the whole. Raises ConnectionLost."""
        out = memoryview(data)
        while out:
            if self.encrypted:
                # A TLS record that failed half-way may have left: count it as sent before trying.
                self.bytes_sent += len(out)
            try:
                count = self.socket.send(out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
                if self.encrypted:
                    self.bytes_sent -= len(out)
                yield SocketWait(
                    write=not isinstance(error, ssl.SSLWantReadError), until=monotonic() + seconds
                )
                continue
            except OSError as error:
                raise ConnectionLost(error.strerror or str(error)) from error
            self.bytes_sent += count - (len(out) if self.encrypted else 0)
            out = out[count:]
            if out:
                failpoint("smtp.body")

    def read_reply(self, *, seconds: float) -> Generator[SocketWait, None, Reply]:
        """Return the next whole reply. Raises ConnectionLost when the connection ends before its last line."""
        until = monotonic() + seconds
        lines: list[bytes] = []
        size = 0
        while True:
            end = self._received.find(b"\n")
            if end < 0:
                if len(self._received) > BYTES_MAX:
                    return parse_reply([bytes(self._received[:1000])])
                yield from self._receive(until)
                continue
            line = bytes(self._received[:end]).rstrip(b"\r")
            del self._received[: end + 1]
            lines.append(line)
            size += end
            if is_last(line):
                return parse_reply(lines)
            if len(lines) >= LINES_MAX or size > BYTES_MAX:
                return parse_reply([b"a reply without end"])

    def _receive(self, until: float) -> Generator[SocketWait, None, None]:
        while True:
            try:
                data = self.socket.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield SocketWait(write=False, until=until)
            except ssl.SSLWantWriteError:
                yield SocketWait(write=True, until=until)
            except OSError as error:
                raise ConnectionLost(error.strerror or str(error)) from error
            else:
                if not data:
                    raise ConnectionLost("the server closed the connection")
                self._received += data
                return

    def is_quiet(self) -> bool:
        """Return whether no byte waits to be read; on an idle connection any byte announces its end."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not self._received and not poll.poll(0)

    def local_address(self) -> str:
        """Return our own IP address on this connection."""
        return str(self.socket.getsockname()[0])

    def close(self) -> None:
        """Close the socket, whatever its state."""
        self.socket.close()
