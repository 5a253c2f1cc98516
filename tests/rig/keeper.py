"""Run one server for as long as whoever started it lives; a script, run with the standard library alone.

    python keeper.py DIRECTORY SIGNAL USER -- COMMAND ...

The keeper holds the reading end of a pipe to its starter. When a byte comes (stop) or the pipe closes (the
starter ended, was interrupted or was killed) it sends SIGNAL to the server, waits, kills it after ten
seconds, and removes DIRECTORY. USER is the account the server runs under, `-` for the present one.
"""

import pwd
import shutil
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
        server = _start(command, user=None if user == "-" else user, cwd=directory, output=output)
        threading.Thread(target=_stop_when_told, args=(server, int(stop)), daemon=True).start()
        code = server.wait()
    if _ended.is_set():
        log.unlink()
    shutil.rmtree(directory, ignore_errors=True)
    return code


_ended = threading.Event()


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


def _stop_when_told(server: "subprocess.Popen[bytes]", stop: int) -> None:
    sys.stdin.buffer.read(1)
    _ended.set()
    server.send_signal(stop)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
