"""Run one server for as long as whoever started it lives; a script, run with the standard library alone.

    python end_with_parent.py DIRECTORY SIGNAL USER -- COMMAND ...

The keeper holds the reading end of a pipe to its starter. When a byte comes (stop) or the pipe closes (the
starter ended, was interrupted or was killed) it sends SIGNAL to the server, waits, kills it after ten
seconds, and removes DIRECTORY. The byte `!` means: send it QUIT, which is PostgreSQL's immediate stop, and start
it again on the same directory. USER is the account the server runs under, `-` for the present one.
"""

import pwd
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


def main(arguments: list[str]) -> int:
    """Keep the server; return its exit code."""
    directory, stop, user = arguments[:3]
    command = arguments[4:]
    log = Path(f"{directory}.log")
    with log.open("ab") as output:

        def start() -> "subprocess.Popen[bytes]":
            return _start(command, user=None if user == "-" else user, cwd=directory, output=output)

        server = start()
        threading.Thread(target=_obey, args=(int(stop),), daemon=True).start()
        _running.append(server)
        code = server.wait()
        while _crashing.is_set():
            _crashing.clear()
            server = start()
            _running.append(server)
            code = server.wait()
    if _ended.is_set():
        log.unlink()
    shutil.rmtree(directory, ignore_errors=True)
    return code


_ended = threading.Event()
_crashing = threading.Event()
#: The servers started, the present one last.
_running: list["subprocess.Popen[bytes]"] = []


def _start(command: list[str], *, user: str | None, cwd: str, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    if user is None:
        return subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    account = pwd.getpwnam(user)
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
    )


def _obey(stop: int) -> None:
    while sys.stdin.buffer.read(1) == b"!":
        _crashing.set()
        _running[-1].send_signal(signal.SIGQUIT)
    _ended.set()
    server = _running[-1]
    server.send_signal(stop)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
