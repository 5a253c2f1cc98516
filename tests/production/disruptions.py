"""Disruptions of a running installation: SIGKILL every second, Redis emptied and stopped, scheduler ticks run twice."""

import random  # noqa: TID251 - seeded, so the same seed chooses the same victims
import threading
from collections import Counter
from dataclasses import replace

import redis
import sqlalchemy as sa
from celery import Celery

from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import job_slots, messages
from nurture.runtime.clock import ManualClock, monotonic
from tests.production.processes import Installation
from tests.rig.redis import Redis
from workers.application import configuration
from workers.notify import CeleryNotifier, RedisMarks
from workers.scheduler import JOBS, tick

#: One in so many kills ends a whole worker with its parent process. A new worker needs seconds to start, so
#: killing a whole one every second would only hit processes that are still loading.
_WHOLE = 6
#: Shares of the kills after which Redis is emptied, stops, and starts again without data.
_EMPTIED = (0.2, 0.8)
_STOPPED, _STARTED = 0.4, 0.55


class Disruptions:
    """Runs all disruptions against a working installation and counts them in `made`."""

    def __init__(
        self, installation: Installation, broker: Redis, services: Services, *, kills: int, seed: int
    ) -> None:
        """Prepare the disruptions; `kills` is their number and, at one a second, their duration."""
        self._installation, self._broker, self._services = installation, broker, services
        self._kills = kills
        self._rng = random.Random(seed)
        self.made: Counter[str] = Counter()

    def run(self) -> None:
        """Kill a process every second and disturb Redis in between; return when everything runs again."""
        at = {int(share * self._kills): self._empty_redis for share in _EMPTIED}
        at |= {int(_STOPPED * self._kills): self._stop_redis, int(_STARTED * self._kills): self._start_redis}
        ended = threading.Event()
        ticker = threading.Thread(target=self._double_ticks, args=(ended,), daemon=True)
        ticker.start()
        began = monotonic()
        try:
            for number in range(self._kills):
                ended.wait(max(0.0, began + number - monotonic()))
                at.get(number, _do_nothing)()
                self._kill(number)
        finally:
            ended.set()
            ticker.join(60)

    def _kill(self, number: int) -> None:
        """Kill the process that holds most mails, sometimes any other one, and every sixth time a whole worker."""
        if number % _WHOLE == _WHOLE - 1:
            self._installation.kill_worker(self._rng.choice(self._installation.workers))
            self.made["workers killed"] += 1
            return
        self.made["workers that gave up"] += self._installation.supervise()
        children = sorted(self._installation.children())
        busy = [pid for pid in senders(self._services.database) if pid in children]
        if busy and self._rng.random() < 0.9:
            self._installation.kill_child(busy[0])
            self.made["senders killed"] += 1
        elif children:
            self._installation.kill_child(self._rng.choice(children))
            self.made["pool processes killed"] += 1

    def _empty_redis(self) -> None:
        with redis.Redis.from_url(self._broker.url) as client:
            client.flushall()
        self.made["Redis emptied"] += 1

    def _stop_redis(self) -> None:
        self._broker.stop()

    def _start_redis(self) -> None:
        self._broker.start()
        self.made["Redis restarted"] += 1

    def _double_ticks(self, ended: threading.Event) -> None:
        """Every two seconds, free all scheduler slots and tick the first job from two threads at once."""
        app = Celery("ticker", set_as_current=False)
        app.conf.update(configuration(self._services.settings))
        notifier = CeleryNotifier(app, RedisMarks(self._broker.url))
        while not ended.wait(2.0):
            self._services.database.run(lambda connection: connection.execute(job_slots.delete()))
            # Both threads have the same clock, so the second finds the slot taken.
            clock = ManualClock(self._services.clock.now())
            services = replace(self._services, clock=clock).notifying(notifier)
            done: list[bool] = []
            threads = [
                threading.Thread(
                    target=lambda results, services: results.append(tick(JOBS[0], services)),
                    args=(done, services),
                )
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.made["ticks doubled"] += 1
            self.made["slots worked twice"] += done.count(True) > 1
        app.close()


def senders(database: Database) -> list[int]:
    """Return the ids of the processes that lease mails, most leases first."""
    count = sa.func.count()
    held = sa.select(messages.c.lease_owner).where(messages.c.lease_owner.is_not(None))
    statement = held.group_by(messages.c.lease_owner).order_by(count.desc(), messages.c.lease_owner)
    with database.read() as connection:
        return [int(owner.rpartition(".")[2]) for owner in connection.execute(statement).scalars()]


def _do_nothing() -> None: ...
