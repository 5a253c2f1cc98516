"""A worker process to break: `python -m tests.faults.worker CLOCK [heavy] [stays]`.

It works as a pool process does (`workers.loops` on its own context), until nothing is due, then ends, or stays.
CLOCK is a file that holds the instant, everybody's. Settings and armed failpoints come from the environment.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from nurture.app.installation import open_existing
from nurture.delivery.compose import TemplateComposer
from nurture.delivery.types import ReadyMessage
from nurture.domain.counts import Counts
from nurture.runtime.clock import pause
from nurture.transports.types import OutgoingMail
from tests.delivery.worker import SharedClock
from workers import loops
from workers.context import Context, make_context

#: A room of this process, to be called.
Room = Callable[[], Counts]
#: Rounds after which it ends whatever there still is.
_ROUNDS_MAX = 200


def work(context: Context, *, each: Callable[[Room], Counts] = lambda room: room()) -> None:
    """Do everything that is due, room after room, until two rounds in a row find nothing.

    each: calls a room.
    """
    lanes = [partial(loops.send, context, lane) for lane in context.lanes]
    rooms = [*(partial(room, context) for room in (loops.apply, loops.wake, loops.recover)), *lanes]
    idle = 0
    for _ in range(_ROUNDS_MAX):
        done = sum(each(room).total() for room in rooms)
        idle = 0 if done else idle + 1
        if idle == 2:
            return


class Heavy(TemplateComposer):
    """Makes letters that no socket takes in one write."""

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Render, and add what nobody reads."""
        mail = super().compose(ready)
        return replace(mail, data=mail.data + (b"-" * 70 + b"\r\n") * 100_000)


def main() -> None:
    """Work once."""
    clock = SharedClock(Path(sys.argv[1]))
    context = make_context(open_existing(clock=clock))
    if "heavy" in sys.argv[2:]:
        context = replace(context, delivery=replace(context.delivery, composer=Heavy()))
    work(context)
    while "stays" in sys.argv[2:]:
        pause(0.05)
        work(context)
    context.close()


if __name__ == "__main__":
    main()
