"""The warm parent: `python -m tests.rig.forking NUMBER`, where NUMBER is its end of a pair of sockets.

It imports what it is asked for and forks a process for each command. It has no threads and opens nothing.
It forks twice: the process between ends at once, so that the new one becomes a child of who asked.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Load(NamedTuple):
    """Import these modules."""

    modules: Sequence[str]


class Fork(NamedTuple):
    """Run a module as `python -m MODULE WORD ...` does."""

    module: str
    words: Sequence[str]
    folder: str
    environment: Mapping[str, str]


def written(asked: Load | Fork) -> bytes:
    """Return a request as it is sent."""
    return json.dumps([type(asked).__name__, *asked]).encode()


def _read(text: bytes) -> Load | Fork:
    kind, *values = json.loads(text)
    return Load(*values) if kind == "Load" else Fork(*values)


def serve(asking: socket.socket) -> Fork | None:
    """Do what is asked until nobody asks any more; returns in each new process with what it is to run."""
    # An interrupt of the tests reaches the whole group; those who started the processes end them.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        text, streams, *_ = socket.recv_fds(asking, 1 << 20, 3)
        if not text:
            return None
        asked = _read(text)
        if isinstance(asked, Load):
            asking.send(_load(asked))
            continue
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if child:
                os.write(writing, str(child).encode())
                os._exit(0)
            for number in (reading, writing, asking.detach()):
                os.close(number)
            signal.signal(signal.SIGINT, interrupted)
            _become(asked, streams)
            return asked
        # The process between has ended, so the new one has its new parent.
        os.waitpid(between, 0)
        asking.send(os.read(reading, 100))
        for number in (reading, writing, *streams):
            os.close(number)


def _load(asked: Load) -> bytes:
    try:
        for name in asked.modules:
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - told to who asked
        return repr(error).encode()[:4000]
    if threading.active_count() > 1:
        return f"an import started a thread: {threading.enumerate()}".encode()[:4000]
    # The memory of the parent stays shared with the new processes: no collection writes into it.
    gc.collect()
    gc.freeze()
    return b"0"


def _become(asked: Fork, streams: Sequence[int]) -> None:
    """Turn this process into one that was started by the command: its streams, its folder, its environment."""
    for place, number in enumerate(streams):
        os.dup2(number, place)
    for number in streams:
        if number > 2:
            os.close(number)
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    sys.argv = [asked.module, *asked.words]
    sys.path[0] = asked.folder
    importlib.invalidate_caches()
    failpoints: Any = sys.modules.get("nurture.runtime.failpoints")
    if failpoints:
        # The one thing of ours that is read at an import.
        failpoints.arm(failpoints.armed_failpoints())


if __name__ == "__main__":
    run = serve(socket.socket(fileno=int(sys.argv[1])))
    if run:
        runpy.run_module(run.module, run_name="__main__", alter_sys=True)
