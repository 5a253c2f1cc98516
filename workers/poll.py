"""Poll threads: they look for work without a notification, so that an absent broker stops nothing.

Three threads per worker process: one for state (inbox, alarms), one for mail, so that a slow mail server holds
up nobody's state, and one for urgent work, so that no bulk work holds that up. The first two look every 1-5 s, each
process at its own moments; an embedded run looks every 0.5 s. While tasks run in a process, its thread leaves their
work to them; the third looks only while they or the other threads work, ten times a second.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Event, Thread

from nurture.runtime.clock import monotonic
from nurture.runtime.log import get_logger

from . import loops
from .context import Context, here

#: Bounds between which the pause of a worker process lies, in seconds.
PAUSE_SECONDS = (1.0, 5.0)
#: How often a busy process looks for what cannot wait; one that is idle is notified.
URGENT_SECONDS = (0.08, 0.12)
#: A process that ran a task within so many seconds is being called.
CALLED_SECONDS = 1.0
#: After so many failures in a row the pause doubles no more.
FAILURES_MAX = 4
_log = get_logger("poll")

Look = Callable[[Context], object]


def look_at_state(context: Context) -> None:
    """Apply pending events, ring due alarms, then judge clicks."""
    loops.apply(context)
    loops.wake(context)
    loops.judge(context)


def look_at_mail(context: Context) -> None:
    """Release the claims of lost workers, deliver on every lane, then process reports and replies."""
    loops.recover(context)
    for lane in context.lanes:
        loops.send(context, lane)
    loops.feedback(context)


def look_at_urgent(context: Context) -> None:
    """While a loop runs in this process: apply live events and deliver transactional and service mail beside it."""
    if context.activity.running:
        loops.apply_urgent(context)
        loops.send_urgent(context)


class Poller:
    """The poll threads of one process."""

    def __init__(
        self,
        *,
        who: str,
        pause: tuple[float, float] = PAUSE_SECONDS,
        looks: Sequence[Look] = (look_at_state, look_at_mail, look_at_urgent),
        context: Callable[[], Context] = here,
    ) -> None:
        """Prepare one thread per look. who: names the process; its moments are a hash of it."""
        self._who = who
        self._pause = pause
        self._context = context
        self._ended = Event()
        # Look -> how many of its tasks run in this process, and when the newest began.
        self._running: Counter[str] = Counter()
        self._called_at: dict[str, float] = {}
        self._threads = [Thread(target=self._run, args=(look,), name=look.__name__) for look in looks]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self, *, seconds: float = 30.0) -> None:
        """Let each thread finish the batch it is at, and end it; waits at most `seconds` for each."""
        self._ended.set()
        for thread in self._threads:
            thread.join(seconds)

    def called(self, look: str) -> None:
        """Note that a task which does this look's work begins in this process; `returned` follows."""
        self._running[look] += 1
        self._called_at[look] = monotonic()

    def returned(self, look: str) -> None:
        """Note that the task has ended, however it ended."""
        self._running[look] -= 1

    def _is_called(self, look: str) -> bool:
        """Tell whether tasks do the look's work at present."""
        recently = monotonic() - self._called_at.get(look, -CALLED_SECONDS) < CALLED_SECONDS
        return self._running[look] > 0 or recently

    def _run(self, look: Look) -> None:
        number, failures = 0, 0
        while not self._ended.wait(self._seconds(look, number) * 2 ** min(failures, FAILURES_MAX)):
            number += 1
            if self._is_called(look.__name__):
                continue
            try:
                look(self._context())
                failures = 0
            except Exception:  # noqa: BLE001 - a thread that ends helps nobody
                # The database may be away; the thread must be there when it is back.
                failures += 1
                _log.exception("looking failed; tried again later", look=look.__name__, failures=failures)

    def _seconds(self, look: Look, number: int) -> float:
        """Return a pause between the bounds: a hash of who looks, for what and how often."""
        shortest, longest = URGENT_SECONDS if look is look_at_urgent else self._pause
        digest = blake2b(f"{self._who}:{look.__name__}:{number}".encode(), digest_size=4).digest()
        return shortest + (longest - shortest) * int.from_bytes(digest) / 2**32
