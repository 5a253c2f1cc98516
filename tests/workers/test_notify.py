"""Bells coalesce, and their absence is nobody's problem."""

from collections.abc import Iterator

import pytest
from celery import Celery

from nurture.runtime.clock import monotonic
from nurture.runtime.settings import Settings
from tests.rig.process import free_port
from workers.application import configuration
from workers.notify import CeleryBells, Hooks, LocalHooks, RedisHooks


class Post:
    """A Celery application that keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[str, ...], str]] = []

    def send_task(self, name: str, args: tuple[str, ...], *, queue: str, **_options: object) -> None:
        self.sent.append((name, args, queue))


@pytest.fixture(params=["local", "redis"])
def hooks(request: pytest.FixtureRequest) -> Iterator[Hooks]:
    if request.param == "local":
        yield LocalHooks()
        return
    hooks = RedisHooks(request.getfixturevalue("redis_url"))
    yield hooks
    hooks.close()


def test_bell_that_hangs_is_not_rung_again(hooks: Hooks) -> None:
    post = Post()
    bells = CeleryBells(post, hooks)
    for _ in range(3):
        bells.ring("inbox", "7")
    bells.ring("inbox", "8")
    bells.ring("advance", "")
    assert post.sent == [
        ("nurture.inbox.drain", ("7",), "inbox"),
        ("nurture.inbox.drain", ("8",), "inbox"),
        ("nurture.advance.wake", (), "advance"),
    ]
    bells.answer("inbox", "7")
    bells.ring("inbox", "7")
    assert len(post.sent) == 4


def test_absent_broker_costs_a_ring_one_attempt_and_nobody_an_exception() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    app = Celery("post", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=url)))
    bells = CeleryBells(app, RedisHooks(url))
    start = monotonic()
    for shard in range(200):
        bells.ring("inbox", str(shard))
        bells.answer("inbox", str(shard))
    assert monotonic() - start < 2.0
