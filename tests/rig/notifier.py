"""A notifier that notifies nobody and keeps what it was given."""

import threading
from collections.abc import Collection

from nurture.database.notifications import Notification, Queue


class RecordingNotifier:
    """Keeps every notification, in order; another thread may wait for them."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self._changed = threading.Condition()

    def notify(self, notifications: Collection[Notification]) -> None:
        with self._changed:
            self.notifications += notifications
            self._changed.notify_all()

    def clear(self, queue: Queue, key: str) -> None:
        """Do nothing: there are no marks."""

    def wait_for(self, count: int) -> set[Notification]:
        """Wait until there are so many notifications; return the different ones."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.notifications) >= count, timeout=10), (
                self.notifications
            )
            return set(self.notifications)

    def take(self) -> list[Notification]:
        """Return the notifications since the last call."""
        with self._changed:
            taken, self.notifications = self.notifications, []
            return taken


def recorded_by(database: object) -> RecordingNotifier:
    """Return the recording notifier that a database was opened with."""
    notifier = getattr(database, "notifier", None)
    assert isinstance(notifier, RecordingNotifier)
    return notifier
