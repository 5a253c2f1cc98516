"""Run one server for as long as whoever started it lives; a script, run with the standard library alone.

    python keeper.py DIRECTORY SIGNAL USER -- COMMAND ...

The keeper holds the reading end of a pipe to its starter. When a byte comes (stop) or the pipe closes (the starter
ended, was interrupted or was killed) it sends SIGNAL to the server, waits, kills it after ten seconds, and removes
DIRECTORY. USER is the account the server runs under, `-` for the present one.
"""

import os
import shutil
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    """Keep the server; return its exit code."""
    directory, stop, user = arguments[:3]
    command = arguments[4:]
    account = {} if user == "-" else {"user": user, "group": _group_of(user), "extra_groups": []}
    with open(f"{directory}.log", "ab") as log:
        server = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **account
        )
        threading.Thread(target=_stop_when_told, args=(server, int(stop)), daemon=True).start()
        code = server.wait()
    shutil.rmtree(directory, ignore_errors=True)
    if _ended.is_set():
        os.unlink(f"{directory}.log")
    return code


_ended = threading.Event()


def _stop_when_told(server: "subprocess.Popen[bytes]", stop: int) -> None:
    sys.stdin.buffer.read(1)
    _ended.set()
    server.send_signal(stop)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415 - not on every system, and needed only as root

    return pwd.getpwnam(user).pw_gid


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
