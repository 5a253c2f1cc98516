"""Make a forecast in several processes at once: each plays its part of the people, over a connection of its own.

A forecast costs processor time and writes nothing, so two processors halve its time. The processes are forked, so the
loaded programme is there already; only the command line forks, because a process with other threads must not.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Final, TypeVar

from nurture.domain.errors import Transient

T = TypeVar("T")
#: A part: its number, and how many there are.
Part = tuple[int, int]
#: Fewer people are forecast sooner by one process.
PEOPLE_MIN: Final = 4_000
_PROCESSES_MAX: Final = 4


def count_processes(people: int) -> int:
    """Return in how many processes a forecast for so many people is made; 1: in this one."""
    if people < PEOPLE_MIN or threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(_PROCESSES_MAX, len(os.sched_getaffinity(0)))


def collect_parts(make: Callable[[Part], Iterator[T]], processes: int) -> Iterator[T]:
    """Yield what `make` yields for each of so many parts, as it comes.

    make: opens its own connections, because it runs in another process. Raises Transient when a process ends early.
    """
    if processes == 1:
        yield from make((0, 1))
        return
    with _start(make, processes) as running:
        while running:
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)  # noqa: S101 - nothing else was given
                message = _receive(pipe)
                if message.is_last:
                    del running[pipe]
                else:
                    yield message.value


@dataclass(frozen=True, slots=True)
class _Message:
    """A value, the error that ended the part, or (neither) its end."""

    value: Any = None
    error: BaseException | None = None
    is_last: bool = False


def _receive(pipe: Connection) -> _Message:
    try:
        message: _Message = pipe.recv()
    except EOFError as error:
        raise Transient(
            "a process of the forecast ended early; look at the memory of this machine"
        ) from error
    if message.error is not None:
        raise message.error
    return message


@contextmanager
def _start(make: Callable[[Part], Iterator[T]], processes: int) -> Iterator[dict[Connection, Any]]:
    """Start the processes; give pipe -> process. They are ended whatever happens."""
    context = get_context("fork")
    started: list[Any] = []
    pipes: dict[Connection, Any] = {}
    try:
        for number in range(processes):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run, args=(make, (number, processes), theirs, [*pipes, mine]), daemon=True
            )
            process.start()
            theirs.close()
            started.append(process)
            pipes[mine] = process
        yield pipes
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.join()


def _run(
    make: Callable[[Part], Iterator[Any]], part: Part, pipe: Connection, others: Sequence[Connection]
) -> None:
    """Send what the part yields, then its end."""
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in others:
        other.close()
    with suppress(BrokenPipeError):
        try:
            for value in make(part):
                pipe.send(_Message(value))
        except Exception as error:  # noqa: BLE001 - the first process raises it
            pipe.send(_Message(error=error))
        else:
            pipe.send(_Message(is_last=True))
