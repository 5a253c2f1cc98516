r"""A scripted SMTP server: a behaviour for every stage of every mail, and a ledger of what it accepted.

    with chaos({"rcpt": "550 5.1.1 no such user"}) as server:
        SmtpTransport(smtp_options(server.url)).send(...)

A script maps a stage to what happens there: a reply (text; several lines parted by `\n`), `Cut`, `Stall`,
`Cut(after="250 ok")`, a list of these (one per mail or connection, the last one stays), or a function of
the line that came. Stages: connect, ehlo, starttls, tls, auth, mail, rcpt, data, body, dot, rset, quit.
"""

import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection; `after` is said before. `store`: the mail is kept although nothing says so."""

    after: str = ""
    store: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing until the server is closed. `store` as in Cut."""

    store: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Say it only after so many seconds."""

    seconds: float
    reply: str = ""


Act = str | Cut | Stall | Later
Behaviour = Act | Sequence[Act] | Callable[[str], Act]

_DEFAULTS: Mapping[str, str] = {
    "connect": "220 chaos ready",
    "starttls": "220 go ahead",
    "auth": "235 2.7.0 welcome",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go on",
    "dot": "250 2.0.0 taken",
    "rset": "250 ok",
    "quit": "221 bye",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """One mail in the ledger, as the bytes came, dots still doubled."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    parameters: str

    @property
    def data(self) -> bytes:
        """The mail itself."""
        lines = self.raw.split(b"\r\n")
        return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


class Gone(Exception):
    """The script ended this connection."""


class ChaosSmtp(socketserver.ThreadingTCPServer):
    """Listens on a free loopback port."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        script: Mapping[str, Behaviour],
        *,
        extensions: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000"),
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        folder: Path | None = None,
    ) -> None:
        """Follow the script; what it does not name goes well. folder: where the ledger is kept as files too."""
        super().__init__(("127.0.0.1", 0), Client)
        self.script = script
        self.extensions = list(extensions) + (["STARTTLS"] if tls and not implicit_tls else [])
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.folder = folder
        self.accepted: list[Accepted] = []
        self.commands: list[str] = []
        self.connections = 0
        self.over = threading.Event()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The transport URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def act(self, stage: str, line: str) -> Act:
        """Return what the script wants at this stage now."""
        behaviour = self.script.get(stage)
        if behaviour is None:
            return self._hello() if stage == "ehlo" else _DEFAULTS[stage]
        if callable(behaviour):
            return behaviour(line)
        if isinstance(behaviour, (str, Cut, Stall, Later)):
            return behaviour
        with self._lock:
            place = self._counts.get(stage, 0)
            self._counts[stage] = place + 1
        return behaviour[min(place, len(behaviour) - 1)]

    def keep(self, accepted: Accepted) -> None:
        """Enter a mail into the ledger; with a folder it is on the disk before anything is answered."""
        with self._lock:
            if self.folder is not None:
                with (self.folder / f"{len(self.accepted):08d}.mail").open("wb") as file:
                    file.write(
                        f"{accepted.sender}\n{' '.join(accepted.recipients)}\n".encode() + accepted.data
                    )
                    file.flush()
                    os.fsync(file.fileno())
            self.accepted.append(accepted)

    @property
    def taken(self) -> list[Accepted]:
        """The accepted mails, in order."""
        with self._lock:
            return list(self.accepted)

    def _hello(self) -> str:
        return "\n".join(["250 chaos", *(f"250 {extension}" for extension in self.extensions)])


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself: `wrap_socket` leaves its half-made socket open when the client hangs up at that moment."""

    def __del__(self) -> None:
        """Close without a warning."""
        self.close()


class Client(socketserver.StreamRequestHandler):
    """One connection."""

    server: ChaosSmtp
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with self.server._lock:
            self.server.connections += 1
        with suppress(Gone, OSError):
            if self.server.implicit_tls:
                self._secure()
            self._act("connect")
            self._converse()

    def _converse(self) -> None:
        self.sender, self.parameters, self.recipients, self.begun = "", "", list[str](), False
        # Not `for line in self.rfile`: TLS puts another file in its place.
        while line := self.rfile.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.server.commands.append(text)
            verb = text[:4].lower()
            stage = {"ehlo": "ehlo", "helo": "ehlo", "star": "starttls"}.get(verb, verb)
            if stage == "auth":
                self._auth(text)
                continue
            if stage not in ("ehlo", *_DEFAULTS):
                reply = self._say("500 what?")
            elif stage == "rcpt" and not self.begun and "rcpt" not in self.server.script:
                reply = self._say("503 5.5.1 MAIL first")
            elif stage == "data" and not self.recipients and "data" not in self.server.script:
                reply = self._say("554 5.5.1 no valid recipients")
            else:
                reply = self._act(stage, text)
            if stage == "starttls" and reply.startswith("220"):
                self._secure()
            elif stage == "mail":
                self.recipients, self.begun = [], reply.startswith("250")
                self.sender, self.parameters = _address(text)
            elif stage == "rcpt" and reply.startswith("250"):
                self.recipients.append(_address(text)[0])
            elif stage == "data" and reply.startswith("354"):
                self._body()
            elif stage == "quit":
                return

    def _auth(self, text: str) -> None:
        if text.upper() == "AUTH LOGIN":
            for prompt in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"):
                self._say(prompt)
                self.server.commands.append(self.rfile.readline().decode().strip())
        self._act("auth", text)

    def _body(self) -> None:
        if "body" in self.server.script:
            self._act("body")
        raw = bytearray()
        for line in self.rfile:
            if line == b".\r\n":
                break
            raw += line
        else:
            raise Gone
        self._mail = Accepted(self.sender, tuple(self.recipients), bytes(raw), self.parameters)
        self._act("dot")

    def _act(self, stage: str, line: str = "") -> str:
        """Do what the script wants; return what was said."""
        act = self.server.act(stage, line)
        if isinstance(act, Later):
            self.server.over.wait(act.seconds)
            act = act.reply or _DEFAULTS[stage]
        if isinstance(act, str):
            if stage == "dot" and act.startswith("2"):
                self.server.keep(self._mail)
            return self._say(act)
        if act.store:
            self.server.keep(self._mail)
        if isinstance(act, Stall):
            self.server.over.wait()
        elif act.after:
            self._say(act.after)
        self.connection.close()
        raise Gone

    def _say(self, reply: str) -> str:
        # With CRLF inside it goes out as it is, in one piece.
        lines = [reply] if "\r\n" in reply else reply.split("\n")
        for line in lines[:-1]:
            self.wfile.write(f"{line[:3]}-{line[4:]}\r\n".encode("utf-8", "surrogateescape"))
        self.wfile.write(f"{lines[-1]}\r\n".encode("utf-8", "surrogateescape"))
        return reply

    def _secure(self) -> None:
        assert self.server.tls
        self.server.tls.sslsocket_class = _ClosingSocket
        try:
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        except ssl.SSLError as error:
            raise Gone from error
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        # A client that is cut off sees it at once, also when our buffers hold unread bytes.
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def _address(command: str) -> tuple[str, str]:
    address, _, parameters = command.partition("<")[2].partition(">")
    return address, parameters.strip()


@contextmanager
def chaos(script: Mapping[str, Behaviour] | None = None, **how: object) -> Iterator[ChaosSmtp]:
    """Give a listening server for as long as the block runs."""
    with ChaosSmtp(script or {}, **how) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
