"""An SMTP sink: takes every mail, keeps it on disk before it says so, and can be asked what it took."""

import os
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredMail:
    """One accepted mail."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes

    def parsed(self) -> EmailMessage:
        """Return the mail as the standard library reads it."""
        return message_from_bytes(self.data, policy=policy.default)


class SmtpSink(socketserver.ThreadingTCPServer):
    """Listens on a free loopback port; `port` tells which, `url` is what NURTURE_MAIL_URL wants."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        """Keep accepted mails in `folder`, one file each, envelope in the first two lines. port: 0 is a free one."""
        super().__init__(("127.0.0.1", port), _Conversation)
        self.folder = folder
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._count = 0
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The transport URL of this sink."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def count(self) -> int:
        """How many mails were accepted."""
        return self._count

    @property
    def taken(self) -> list[StoredMail]:
        """Accepted mails, in the order of acceptance, read back from disk."""
        return [_read(path) for path in self.files()]

    def files(self) -> list[Path]:
        """Return the files of the accepted mails, in the order of acceptance.

        A listing made while one is renamed may leave it out and hold a later one, so none is renamed meanwhile.
        """
        with self._changed:
            return sorted(self.folder.glob("*.mail"))

    def wait_for(self, count: int, *, seconds: float = 15.0) -> list[StoredMail]:
        """Return the accepted mails once there are `count`. Raises TimeoutError naming how many there were."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout=seconds):
                message = f"{self._count} mails instead of {count} within {seconds} s"
                raise TimeoutError(message)
        return self.taken

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away, as killed ones do; report everything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def cut(self) -> None:
        """Close every connection, as a server does that is stopped."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def note(self, connection: socket.socket, *, is_open: bool) -> None:
        """Remember a connection, or forget it."""
        (self._open.add if is_open else self._open.discard)(connection)

    def keep(self, taken: StoredMail) -> None:
        """Write one mail through to the disk."""
        with self._changed:
            path = self.folder / f"{self._count:08d}"
            with path.open("wb") as file:
                file.write(f"{taken.sender}\n{' '.join(taken.recipients)}\n".encode() + taken.data)
                file.flush()
                os.fsync(file.fileno())
            path.rename(path.with_suffix(".mail"))
            self._count += 1
            self._changed.notify_all()


class _Conversation(socketserver.StreamRequestHandler):
    """One client; replies are flushed only when nothing more is pipelined."""

    server: SmtpSink

    def setup(self) -> None:
        super().setup()
        self.server.note(self.connection, is_open=True)

    def finish(self) -> None:
        self.server.note(self.connection, is_open=False)
        super().finish()

    def handle(self) -> None:
        self.server.connections += 1
        self._say("220 sink ready")
        sender, recipients = "", list[str]()
        for line in self.rfile:
            text = line.decode(errors="replace").rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                self._say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender, recipients = _address(text), []
                self._say("250 2.1.0 ok")
            elif verb == "RCPT":
                recipients.append(_address(text))
                self._say("250 2.1.5 ok")
            elif verb == "DATA":
                self._say("354 go on")
                self.server.keep(StoredMail(sender, tuple(recipients), self._data()))
                self._say("250 2.0.0 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self) -> bytes:
        lines: list[bytes] = []
        for line in self.rfile:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        message = "the client went away before the final dot"
        raise ConnectionError(message)

    def _say(self, reply: str) -> None:
        self.wfile.write(reply.encode() + b"\r\n")


def _address(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]


def _read(path: Path) -> StoredMail:
    sender, recipients, data = path.read_bytes().split(b"\n", 2)
    return StoredMail(sender.decode(), tuple(recipients.decode().split()), data)


@contextmanager
def running_smtp_sink(folder: Path, *, port: int = 0) -> Iterator[SmtpSink]:
    """Give a listening sink for as long as the block runs."""
    with SmtpSink(folder, port=port) as sink:
        thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            sink.shutdown()
            thread.join()
