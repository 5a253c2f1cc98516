"""Python processes that start warm: forked from a parent that has imported already what they import first.

`start` is `subprocess.Popen` of `python -m MODULE WORD ...`: the process is a child of this one, with the given
folder, environment and streams, in this process's group. Only its imports cost nothing: seconds of processor time a
process. The work of a command at its import is therefore not seen here; for each command one test starts it
as people do.
"""

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests.rig import forking

_ROOT = Path(__file__).parents[2]
_PR_SET_CHILD_SUBREAPER = 36


def start(
    command: Sequence[str | Path],
    *,
    imports: Sequence[str],
    cwd: Path = _ROOT,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    text: bool = False,
) -> "subprocess.Popen[Any]":
    """Start `python -m COMMAND`.

    imports: what it imports first, loaded before the fork. Raises ValueError for an environment that is read at
    an import.
    """
    environment = dict(os.environ if env is None else env)
    if "PROMETHEUS_MULTIPROC_DIR" in environment:
        raise ValueError(
            "a library reads this environment when it is imported: start the command as people do"
        )
    words = [sys.executable, "-m", *map(str, command)]
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    given: dict[str, Any] = {"cwd": cwd, "env": environment, "text": text, **streams}
    if not sys.platform.startswith("linux"):
        return subprocess.Popen(words, **given)
    _parent().load(imports)
    return _Forked(words, **given)


class _Parent:
    """The process that forks."""

    def __init__(self) -> None:
        """Start it; it ends with this process."""
        self._asking, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answering:
            number = answering.fileno()
            subprocess.Popen(
                [sys.executable, "-m", "tests.rig.forking", str(number)],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[number],
            ).returncode = 0  # Nobody waits for it, and nothing warns of it.
        self._loaded: set[str] = set()

    def load(self, names: Sequence[str]) -> None:
        """Let it import these modules."""
        wanted = [name for name in names if name not in self._loaded]
        if wanted:
            self._ask(forking.Load(wanted), ())
            self._loaded.update(wanted)

    def fork(self, asked: "forking.Fork", streams: Sequence[int]) -> int:
        """Let it fork, and return the id of the new process, which is a child of this one."""
        with _taking_orphans():
            return self._ask(asked, streams)

    def _ask(self, asked: "forking.Load | forking.Fork", streams: Sequence[int]) -> int:
        socket.send_fds(self._asking, [forking.written(asked)], streams)
        answer = self._asking.recv(4096)
        if not answer.isdigit():
            raise RuntimeError(f"the warm parent failed: {answer.decode() or 'it ended'}")
        return int(answer)


@cache
def _parent() -> _Parent:
    return _Parent()


@contextmanager
def _taking_orphans() -> Iterator[None]:
    """Let a process whose parent ends meanwhile become a child of this one: it can then be waited for."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class _Forked(subprocess.Popen[Any]):
    """A process as `subprocess` knows it, started by the warm parent."""

    def _execute_child(self, args: list[str], *given: Any) -> None:
        names = "executable preexec_fn close_fds pass_fds cwd env startupinfo creationflags shell"
        pipes = "p2cread p2cwrite c2pread c2pwrite errread errwrite"
        known = dict(zip(f"{names} {pipes}".split(), given, strict=False))
        own = [known[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [inherited if number == -1 else number for inherited, number in enumerate(own)]
        module, *words = args[2:]
        self.pid = _parent().fork(forking.Fork(module, words, str(known["cwd"]), known["env"]), streams)
        self._child_created = True
        self._close_pipe_fds(*(known[name] for name in pipes.split()))  # type: ignore[attr-defined]
