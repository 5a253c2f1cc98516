"""Starting a server in a directory of its own, under an account that it accepts, and stopping it surely."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEEPER = Path(__file__).with_name("end_with_parent.py")


class NotAvailable(Exception):
    """A server's program is missing or does not start; the message says what to install or set."""


@dataclass(frozen=True, slots=True)
class Home:
    """A server's temporary directory and the account it runs under."""

    path: Path
    # None: the account of the tests.
    user: str | None

    def run(self, command: Sequence[str | Path]) -> None:
        """Run a command to its end in this directory, under this account. Raises NotAvailable with its words."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **_account(self.user),
        )
        if done.returncode:
            message = f"{command[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}"
            raise NotAvailable(message)


def _account(user: str | None) -> dict[str, Any]:
    """Return the arguments with which subprocess drops to `user`."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def make_home(name: str, *, drop_root: bool) -> Home:
    """Make an empty private directory; `drop_root`: owned by an ordinary account when the tests run as root."""
    root = drop_root and os.geteuid() == 0
    # As root TMPDIR may lie where no ordinary account can go.
    path = Path(tempfile.mkdtemp(prefix=f"nurture-{name}-", dir="/tmp" if root else None))
    if not root:
        return Home(path, None)
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in known else "nobody"
    shutil.chown(path, user, pwd.getpwnam(user).pw_gid)
    return Home(path, user)


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running server and its keeper."""

    def __init__(self, home: Home, command: Sequence[str | Path], *, stop: signal.Signals) -> None:
        """Start `command` in `home`; `stop` is the signal that ends it in order."""
        self.home = home
        self._log = Path(f"{home.path}.log")
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", _KEEPER, home.path, str(int(stop)), home.user or "-", "--", *command],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def wait_until(self, answers: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Return once `answers` is true. Raises NotAvailable, with the server's log, when it ends or takes long."""
        deadline = time.monotonic() + seconds
        while not answers():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                log = self._log.read_text(errors="replace") if self._log.exists() else ""
                self.stop()
                self._log.unlink(missing_ok=True)
                message = f"the server did not start: {log[-2000:]}"
                raise NotAvailable(message)
            time.sleep(0.01)

    def crash(self) -> None:
        """Let the server end at once and start again on what is on its disk."""
        pipe = self._keeper.stdin
        assert pipe
        pipe.write(b"!")
        pipe.flush()

    def stop(self) -> None:
        """End the server and remove its directory; safe to repeat."""
        pipe = self._keeper.stdin
        if pipe and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                # A byte, not only the closed pipe: a process forked off the tests may hold the other end too.
                pipe.write(b".")
                pipe.flush()
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._keeper.wait(timeout=20)
