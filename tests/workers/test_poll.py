"""Poll threads look by themselves, survive what fails, and finish what they are at."""

from threading import Event
from typing import Any, cast

from nurture.runtime.clock import monotonic
from workers.context import Context
from workers.poll import FAILURES_MAX, Poller

FAST = (0.001, 0.005)


def poller(look: Any, **options: Any) -> Poller:
    given = {"pause": FAST, "looks": [look]} | options
    return Poller(who="test", context=lambda: cast(Context, None), **given)


def test_failure_ends_no_thread() -> None:
    looked, again = [], Event()

    def look(_context: object) -> None:
        looked.append(1)
        if len(looked) <= FAILURES_MAX:
            raise ConnectionError
        again.set()

    polling = poller(look)
    polling.start()
    assert again.wait(5)
    polling.stop()


def test_stop_lets_the_batch_end() -> None:
    began, may_end, ended = Event(), Event(), []

    def look(_context: object) -> None:
        began.set()
        may_end.wait(5)
        ended.append(1)

    polling = poller(look)
    polling.start()
    assert began.wait(5)
    may_end.set()
    polling.stop()
    assert ended


def test_process_that_is_called_does_not_look() -> None:
    looked, other = Event(), Event()

    def look(_context: object) -> None:
        looked.set()

    def look_elsewhere(_context: object) -> None:
        other.set()

    polling = poller(look, looks=[look, look_elsewhere])
    polling.called("look")
    polling.start()
    assert other.wait(5), "a task of one room kept the thread of another from looking"
    assert not looked.wait(1.3), "looked while the task was running"
    polling.returned("look")
    assert looked.wait(5)
    polling.stop()


def test_a_task_that_has_just_ended_counts_as_calling() -> None:
    looked = Event()

    def look(_context: object) -> None:
        looked.set()

    polling = poller(look)
    polling.called("look")
    polling.returned("look")
    polling.start()
    assert not looked.wait(0.3)
    assert looked.wait(5)
    polling.stop()


def test_processes_look_at_moments_of_their_own() -> None:
    looks = [lambda _context: None]
    pauses = [
        [Poller(who=who, looks=looks)._seconds(looks[0], number) for number in range(50)]
        for who in ("a", "b")
    ]
    assert all(1.0 <= seconds <= 5.0 for seconds in pauses[0] + pauses[1])
    assert pauses[0] != pauses[1]
    assert max(pauses[0]) - min(pauses[0]) > 2.0


def test_stopping_a_resting_thread_waits_for_nothing() -> None:
    polling = poller(lambda _context: None, pause=(60.0, 60.0))
    polling.start()
    start = monotonic()
    polling.stop()
    assert monotonic() - start < 1.0
