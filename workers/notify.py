"""Notifications over Celery: one message per queue and key, however often it is notified of.

A mark (a key in Redis, or in this process) stands from the notification until a task clears it, which the task does
*before* it reads: work committed after that is notified of anew. A mark expires by itself, so a lost message
suppresses nothing for long. Notifying never raises for a broker that is away and never waits long for it: the rows
are committed, and the poll threads find them.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Final, Protocol

import redis
from kombu.exceptions import OperationalError

from nurture.database.notifications import (
    ADVANCE,
    DELIVER,
    FEEDBACK,
    INBOX,
    MEASUREMENT,
    Notification,
    Notifier,
    Queue,
)
from nurture.runtime.clock import monotonic
from nurture.runtime.log import get_logger
from nurture.runtime.settings import Settings

from .application import NOTIFICATION_SECONDS_MAX, app, configure

#: A mark that no task has cleared expires after this many seconds.
MARK_SECONDS = 10
#: After a failure the broker is not tried for this many seconds, so that a request waits for one time-out at most.
QUIET_SECONDS = 5.0

_TASKS: Final[dict[Queue, str]] = {
    INBOX: "nurture.inbox.drain",
    ADVANCE: "nurture.advance.wake",
    DELIVER: "nurture.deliver.send",
    FEEDBACK: "nurture.feedback.judge",
    MEASUREMENT: "nurture.measurement.judge",
}
_log = get_logger("notifications")


class Marks(Protocol):
    """The notifications that are on their way: named, and each at most once."""

    def add(self, names: Sequence[str]) -> list[bool]:
        """Set these marks; tell of each whether it is new."""
        ...

    def clear(self, name: str) -> None:
        """Remove a mark if it is there."""
        ...


class RedisMarks:
    """Marks shared by all processes."""

    def __init__(self, url: str) -> None:
        """Use the Redis at `url`; connects at the first mark."""
        self._redis = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)

    def add(self, names: Sequence[str]) -> list[bool]:
        """Set these marks in one round trip; tell of each whether it is new. Raises RedisError."""
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.set(_redis_key(name), 1, nx=True, ex=MARK_SECONDS)
        return [bool(is_new) for is_new in pipeline.execute()]

    def clear(self, name: str) -> None:
        """Remove a mark if it is there. Raises RedisError."""
        self._redis.delete(_redis_key(name))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _redis_key(name: str) -> str:
    return f"nurture:notified:{name}"


class LocalMarks:
    """Marks of this process alone; for brokers that keep no keys."""

    def __init__(self) -> None:
        """Start with none."""
        self._until: dict[str, float] = {}
        self._lock = Lock()

    def add(self, names: Sequence[str]) -> list[bool]:
        """Set these marks; tell of each whether it is new."""
        now = monotonic()
        with self._lock:
            are_new = [self._until.get(name, now) <= now for name in names]
            new = (name for name, is_new in zip(names, are_new, strict=True) if is_new)
            self._until.update(dict.fromkeys(new, now + MARK_SECONDS))
        return are_new

    def clear(self, name: str) -> None:
        """Remove a mark if it is there."""
        with self._lock:
            self._until.pop(name, None)


class TaskSender(Protocol):
    """Sends messages: a Celery application."""

    def send_task(self, name: str, args: Any, *, queue: str, expires: int) -> object:
        """Send the message of one task."""
        ...


class WorkerNotifier(Notifier, Protocol):
    """A notifier as a worker has it: its tasks also clear the mark of the notification that started them."""

    def clear(self, queue: Queue, key: str) -> None:
        """Clear the mark; to be called before reading the rows that it is about. Never raises."""
        ...


class CeleryNotifier:
    """Notifies by sending a task's message."""

    def __init__(self, app: TaskSender, marks: Marks) -> None:
        """Send through `app`, remember in `marks` what is on its way."""
        self._app = app
        self._marks = marks
        self._quiet_until = 0.0

    def notify(self, notifications: Collection[Notification]) -> None:
        """Send the task of each queue and key, except where its message is on its way already."""
        if monotonic() < self._quiet_until:
            return
        try:
            are_new = self._marks.add([f"{queue}:{key}" for queue, key in notifications])
            for (queue, key), is_new in zip(notifications, are_new, strict=True):
                if is_new:
                    arguments = (key,) if key else ()
                    self._app.send_task(
                        _TASKS[queue], arguments, queue=queue, expires=NOTIFICATION_SECONDS_MAX
                    )
        except (redis.RedisError, OperationalError) as error:
            self._pause(error)

    def clear(self, queue: Queue, key: str) -> None:
        """Clear the mark; to be called before reading the rows that it is about."""
        if monotonic() < self._quiet_until:
            return
        try:
            self._marks.clear(f"{queue}:{key}")
        except redis.RedisError as error:
            self._pause(error)

    def _pause(self, error: Exception) -> None:
        self._quiet_until = monotonic() + QUIET_SECONDS
        _log.warning("the broker is away; workers find the work by looking", error=str(error))


def open_notifier(settings: Settings) -> CeleryNotifier:
    """Return this process's notifier for the broker of the settings; the same one at every call."""
    configure(settings)
    return _notifier(settings.broker_url)


@lru_cache(maxsize=4)
def _notifier(broker_url: str) -> CeleryNotifier:
    is_shared = broker_url.startswith(("redis:", "rediss:", "redis+socket:", "valkey:"))
    return CeleryNotifier(app, RedisMarks(broker_url) if is_shared else LocalMarks())
