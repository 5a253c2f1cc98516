"""Notifications of the same queue and key coalesce, and a broker that is away stops nothing."""

from collections.abc import Iterator
from typing import get_args

import pytest
from celery import Celery

from nurture.database.notifications import Queue
from nurture.runtime.clock import monotonic
from nurture.runtime.settings import Settings
from tests.rig.process import free_port
from workers import tasks as _tasks  # noqa: F401 - registers the tasks
from workers.application import app, configuration
from workers.notify import CeleryNotifier, LocalMarks, Marks, RedisMarks
from workers.queues import NAMES


class KeptTasks:
    """A Celery application that keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[str, ...], str]] = []

    def send_task(self, name: str, args: tuple[str, ...], *, queue: str, **_options: object) -> None:
        self.sent.append((name, args, queue))


@pytest.fixture(params=["local", "redis"])
def marks(request: pytest.FixtureRequest) -> Iterator[Marks]:
    if request.param == "local":
        yield LocalMarks()
        return
    marks = RedisMarks(request.getfixturevalue("redis_url"))
    yield marks
    marks.close()


def test_every_queue_has_a_task_that_its_messages_run() -> None:
    tasks = KeptTasks()
    CeleryNotifier(tasks, LocalMarks()).notify([(queue, "") for queue in get_args(Queue)])
    registered = {name for name in app.tasks if name.startswith("nurture.")}
    assert {queue for _, _, queue in tasks.sent} == set(get_args(Queue)) == set(NAMES)
    assert {name for name, _, _ in tasks.sent} <= registered


def test_a_notification_on_its_way_is_not_sent_again(marks: Marks) -> None:
    tasks = KeptTasks()
    notifier = CeleryNotifier(tasks, marks)
    for _ in range(3):
        notifier.notify([("inbox", "7")])
    notifier.notify([("inbox", "7"), ("inbox", "8")])
    notifier.notify([("advance", "")])
    assert tasks.sent == [
        ("nurture.inbox.drain", ("7",), "inbox"),
        ("nurture.inbox.drain", ("8",), "inbox"),
        ("nurture.advance.wake", (), "advance"),
    ]
    notifier.clear("inbox", "7")
    notifier.notify([("inbox", "7")])
    assert len(tasks.sent) == 4


def test_an_absent_broker_costs_one_attempt_and_raises_nothing() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    app = Celery("tasks", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=url)))
    notifier = CeleryNotifier(app, RedisMarks(url))
    start = monotonic()
    for shard in range(200):
        notifier.notify([("inbox", str(shard))])
        notifier.clear("inbox", str(shard))
    assert monotonic() - start < 2.0
