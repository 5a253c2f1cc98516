"""Doorbells on Celery: one message per queue and key, however often it is rung.

A bell hangs (a key in Redis, or in this process) from the ring until a task takes it off, which it does
*before* it reads: who rings after that rings anew. A bell falls off by itself, so a lost message silences
nothing for long. Ringing never raises and never waits: whoever rings has committed already, and the poll
threads find the row without us.
"""

from functools import lru_cache
from threading import Lock
from typing import Any, Protocol

import redis
from kombu.exceptions import OperationalError

from nurture.runtime.clock import monotonic
from nurture.runtime.log import get_logger
from nurture.runtime.notifications import Bells
from nurture.runtime.settings import Settings
from workers.application import BELL_SECONDS_MAX, app, configure

#: A bell falls off after this many seconds.
HANGS_SECONDS = 10
#: After a failure nobody tries the broker for this many seconds, so that a request costs no time-out.
QUIET_SECONDS = 5.0

_TASKS = {
    "inbox": "nurture.inbox.drain",
    "advance": "nurture.advance.wake",
    "deliver": "nurture.deliver.send",
    "feedback": "nurture.feedback.judge",
}
_log = get_logger("bells")


class Hooks(Protocol):
    """Where bells hang."""

    def hang(self, name: str) -> bool:
        """Hang the bell up; False when it hangs there already."""
        ...

    def take(self, name: str) -> None:
        """Take the bell off, whether it hangs there or not."""
        ...


class RedisHooks:
    """Bells shared by all processes."""

    def __init__(self, url: str) -> None:
        """Use the Redis at `url`; connects at the first ring."""
        self._redis = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)

    def hang(self, name: str) -> bool:
        """Hang the bell up; False when it hangs there already."""
        return bool(self._redis.set(f"nurture:bell:{name}", 1, nx=True, ex=HANGS_SECONDS))

    def take(self, name: str) -> None:
        """Take the bell off."""
        self._redis.delete(f"nurture:bell:{name}")

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()


class LocalHooks:
    """Bells of this process alone; for brokers that keep no keys."""

    def __init__(self) -> None:
        """Start with none."""
        self._until: dict[str, float] = {}
        self._lock = Lock()

    def hang(self, name: str) -> bool:
        """Hang the bell up; False when it hangs there already."""
        now = monotonic()
        with self._lock:
            if self._until.get(name, now) > now:
                return False
            self._until[name] = now + HANGS_SECONDS
            return True

    def take(self, name: str) -> None:
        """Take the bell off."""
        with self._lock:
            self._until.pop(name, None)


class Post(Protocol):
    """Who carries messages: a Celery application."""

    def send_task(self, name: str, args: Any, *, queue: str, expires: int) -> object:
        """Send one message."""
        ...


class WorkerBells(Bells, Protocol):
    """Bells as a worker has them: it also answers those that it was called by."""

    def answer(self, queue: str, key: str) -> None:
        """Take the bell off; to be called before reading what it rang for. Never raises."""
        ...


class CeleryBells:
    """Rings by sending a task's message."""

    def __init__(self, app: Post, hooks: Hooks) -> None:
        """Send through `app`, hang bells on `hooks`."""
        self._app = app
        self._hooks = hooks
        self._quiet_until = 0.0

    def ring(self, queue: str, key: str) -> None:
        """Ring `queue` (inbox, advance, deliver, feedback) for a key (a shard, a lane, or empty text)."""
        if monotonic() < self._quiet_until:
            return
        try:
            if self._hooks.hang(f"{queue}:{key}"):
                arguments = (key,) if key else ()
                self._app.send_task(_TASKS[queue], arguments, queue=queue, expires=BELL_SECONDS_MAX)
        except (redis.RedisError, OperationalError) as error:
            self._rest(error)

    def answer(self, queue: str, key: str) -> None:
        """Take the bell off; to be called before reading what it rang for."""
        if monotonic() < self._quiet_until:
            return
        try:
            self._hooks.take(f"{queue}:{key}")
        except redis.RedisError as error:
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        self._quiet_until = monotonic() + QUIET_SECONDS
        _log.warning("the broker is away; workers find the work by looking", error=str(error))


def open_bells(settings: Settings) -> CeleryBells:
    """Return this process's bells for the broker of the settings; one set, whoever asks."""
    configure(settings)
    return _bells(settings.broker_url)


@lru_cache(maxsize=4)
def _bells(broker_url: str) -> CeleryBells:
    shared = broker_url.startswith(("redis:", "rediss:", "redis+socket:", "valkey:"))
    return CeleryBells(app, RedisHooks(broker_url) if shared else LocalHooks())
