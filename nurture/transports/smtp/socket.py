"""A non-blocking connection, plain or TLS, that is driven by generators.

Whatever may have to wait is a generator: it yields a `Want` (readable or writable, and by when) and goes on
when the loop that drives it resumes it. The loop throws `Silence` into it when the time is over. So one
thread speaks on many connections, and the conversation still reads from top to bottom.
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
from nurture.transports.smtp.replies import BYTES_MAX, LINES_MAX, Reply, is_last, read_reply


class Cut(Exception):
    """The connection ended; the message says how."""


class Silence(Exception):
    """Nothing came in time."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a generator waits for: the socket to be writable, else readable, until the monotonic second."""

    write: bool
    until: float


class Wire:
    """One socket with what is still to be written and what is not yet read."""

    def __init__(self, family: int, *, tls: bool) -> None:
        """Make a socket of this address family; nothing is connected yet."""
        self.socket: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encrypted = tls
        # Bytes that may have left since the connection stood.
        self.left = 0
        self._in = bytearray()

    def fileno(self) -> int:
        """Return the descriptor the loop waits on."""
        return self.socket.fileno()

    def connect(self, address: Any, *, seconds: float) -> Generator[Want, None, None]:
        """Connect. Raises Cut with the system's reason."""
        try:
            self.socket.connect(address)
        except BlockingIOError:
            yield Want(write=True, until=monotonic() + seconds)
        except OSError as error:
            raise Cut(error.strerror or str(error)) from error
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise Cut(os.strerror(number))

    def secure(self, context: ssl.SSLContext, host: str, *, seconds: float) -> Generator[Want, None, None]:
        """Do the TLS handshake; the certificate must be valid for the host. Raises OSError (ssl.SSLError)."""
        # What was read in clear text before the handshake must not count as said under TLS.
        self._in.clear()
        secured = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket, self.encrypted = secured, True
        until = monotonic() + seconds
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                yield Want(write=False, until=until)
            except ssl.SSLWantWriteError:
                yield Want(write=True, until=until)
            else:
                return

    def write(self, data: bytes, *, seconds: float) -> Generator[Want, None, None]:
        """Write all of it; `seconds` is the patience for each step forward. Raises Cut."""
        out = memoryview(data)
        while out:
            if self.encrypted:
                # A record that failed half-way may have left: count it as gone before trying.
                self.left += len(out)
            try:
                count = self.socket.send(out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
                if self.encrypted:
                    self.left -= len(out)
                yield Want(write=not isinstance(error, ssl.SSLWantReadError), until=monotonic() + seconds)
                continue
            except OSError as error:
                raise Cut(error.strerror or str(error)) from error
            self.left += count - (len(out) if self.encrypted else 0)
            out = out[count:]
            if out:
                failpoint("smtp.body")

    def reply(self, *, seconds: float) -> Generator[Want, None, Reply]:
        """Read one whole reply. Raises Cut when the connection ends before its last line."""
        until = monotonic() + seconds
        lines: list[bytes] = []
        size = 0
        while True:
            end = self._in.find(b"\n")
            if end < 0:
                if len(self._in) > BYTES_MAX:
                    return read_reply([bytes(self._in[:1000])])
                yield from self._receive(until)
                continue
            line = bytes(self._in[:end]).rstrip(b"\r")
            del self._in[: end + 1]
            lines.append(line)
            size += end
            if is_last(line):
                return read_reply(lines)
            if len(lines) >= LINES_MAX or size > BYTES_MAX:
                return read_reply([b"a reply without end"])

    def _receive(self, until: float) -> Generator[Want, None, None]:
        while True:
            try:
                data = self.socket.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield Want(write=False, until=until)
            except ssl.SSLWantWriteError:
                yield Want(write=True, until=until)
            except OSError as error:
                raise Cut(error.strerror or str(error)) from error
            else:
                if not data:
                    raise Cut("the server closed the connection")
                self._in += data
                return

    def is_quiet(self) -> bool:
        """Tell whether nothing waits to be read: on an idle connection anything would be its end."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not self._in and not poll.poll(0)

    def local_address(self) -> str:
        """Return our own address on this connection."""
        return str(self.socket.getsockname()[0])

    def close(self) -> None:
        """Close the socket, whatever its state."""
        self.socket.close()
