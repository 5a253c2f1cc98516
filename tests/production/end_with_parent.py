"""Run one command for as long as whoever started it lives; a script, run with the standard library alone.

    python leash.py COMMAND ...

It leads a process group and holds the reading end of a pipe to its starter. When the pipe closes (the starter
ended, however) it kills the whole group. TERM is passed on to the command; its exit code is ours.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command; return its exit code."""
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: running.terminate())
    threading.Thread(target=_kill_when_left, daemon=True).start()
    return running.wait()


def _kill_when_left() -> None:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
