"""Redis is emptied, full, read-only, cut off; notifications are lost, doubled and late: events flow all the same."""

import random  # noqa: TID251 - seeded, so the same seed notifies alike
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from nurture.database.notifications import Notification, Queue
from nurture.runtime.clock import SystemClock, pause
from tests.faults.installation import Installation, opened, people
from tests.faults.test_kill import hand_in
from tests.production.people import back_in_stock
from tests.rig.proxy import proxied
from tests.rig.redis import Redis
from tests.workers.installation import environment, eventually, installed, mails_decided, order, settings_of
from tests.workers.test_worker import client, worker
from workers import loops
from workers.context import Context, make_context
from workers.poll import look_at_mail, look_at_state

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 120


def _fill(server: redis.Redis) -> None:
    """Leave no memory for anything more."""
    server.config_set("maxmemory-policy", "noeviction")
    server.set("filling", b"x" * 500_000)
    server.config_set("maxmemory", "100kb")


def _follow_nobody(server: redis.Redis) -> None:
    """Make it the read-only replica of a server that is not there."""
    server.replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("broken", [_fill, _follow_nobody])
def test_events_whose_notification_redis_refuses_are_accepted_and_found_without_it(
    postgresql_installation_url: str, tmp_path: Path, broken: Callable[[Any], None], seed: int
) -> None:
    broker = Redis()
    try:
        with opened(tmp_path, postgresql_installation_url, broker_url=broker.url) as installation:
            installation.set(now := SystemClock().now())
            crowd = people(EVENTS, now=now, seed=seed)
            with redis.Redis.from_url(broker.url) as server:
                broken(server)
                with pytest.raises(redis.RedisError):
                    server.set("more", b"x")
            with installation.api() as (url, _):
                for place in range(0, len(crowd.items), 30):
                    assert hand_in(url, crowd.items[place : place + 30]) == 200
                assert hand_in(url, [back_in_stock(now)]) == 200
                assert httpx.get(f"{url}/readyz", timeout=5).status_code == 200
            installation.set(SystemClock().now())
            installation.settle()
            assert installation.faults(crowd) == []
    finally:
        broker.stop()


def test_a_worker_takes_messages_again_after_three_reconnects_in_two_seconds(
    postgresql_url: str, tmp_path: Path
) -> None:
    broker = Redis()
    try:
        with proxied(broker.port) as proxy:
            given = {"broker_url": proxy.url(broker.url)}
            with installed(settings_of(tmp_path, postgresql_url, **given)) as services:
                app = client(broker.url)

                def arrives(number: int) -> bool:
                    # Events handed in by message come from the broker and from nowhere else.
                    app.send_task("nurture.hand_in", [[order(number, who=f"p{number}")]], queue="inbox")
                    return eventually(lambda: mails_decided(services) == number)

                with worker(tmp_path, environment(tmp_path, postgresql_url, **given)):
                    assert arrives(1), (tmp_path / "worker.log").read_text()
                    for _ in range(3):
                        assert proxy.cut()
                        pause(0.7)
                    assert arrives(2), (tmp_path / "worker.log").read_text()
                    broker.stop()
                    broker.start()
                    assert arrives(3), (tmp_path / "worker.log").read_text()
                app.close()
    finally:
        broker.stop()


class Unreliable:
    """A notifier that keeps a notification never, once, twice or a hundred times, and gives them in any order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kept: list[Notification] = []

    def notify(self, notifications: Collection[Notification]) -> None:
        for notification in notifications:
            self._kept += [notification] * self._random.choice((0, 0, 1, 2, 100))

    def clear(self, queue: Queue, key: str) -> None:
        """Do nothing: there are no marks."""

    def next(self) -> Notification | None:
        """Take any of them out."""
        return self._kept.pop(self._random.randrange(len(self._kept))) if self._kept else None


@pytest.mark.parametrize("more", [1, 2])
def test_notifications_lost_doubled_and_late_change_nothing(
    installation: Installation, seed: int, more: int
) -> None:
    seed += more
    crowd = people(EVENTS, seed=seed)
    notifier = Unreliable(seed)
    context = make_context(installation.services, notifier=notifier)
    installation.hand_in_all(crowd)
    notifier.notify([("inbox", str(shard)) for shard in range(64)])
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_work_on_all, context, notifier) for _ in range(2)]:
            done.result(300)
    for _ in range(3):
        # The next looks find the work of notifications that were lost.
        look_at_state(context)
        look_at_mail(context)
    for lane in context.lanes.values():
        lane.transport.close()
    installation.settle()
    assert installation.faults(crowd) == []


def _work_on_all(context: Context, notifier: Unreliable) -> None:
    while (notification := notifier.next()) is not None:
        queue, key = notification
        if queue == "inbox":
            loops.apply(context, int(key))
        elif queue == "advance":
            loops.wake(context)
        else:
            loops.send(context, key)
