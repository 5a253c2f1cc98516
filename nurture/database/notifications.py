"""Notifications: a transaction notes the queues that its rows wait in; workers are notified after its commit.

`Database.run` and `Database.write` collect the notes and hand them to the database's notifier once the rows are
committed. A notification that is lost costs latency only: workers also look for work by themselves.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final, Literal, Protocol

import sqlalchemy as sa

Queue = Literal["inbox", "advance", "deliver", "feedback", "measurement"]
#: A queue and a key within it: a shard of `inbox`, a lane of `deliver`, "" in the others.
Notification = tuple[Queue, str]

INBOX: Final = "inbox"
ADVANCE: Final = "advance"
DELIVER: Final = "deliver"
FEEDBACK: Final = "feedback"
MEASUREMENT: Final = "measurement"
#: The key for every shard, or every lane.
ALL: Final = "all"

_INFO_KEY: Final = "nurture.notifications"


class Notifier(Protocol):
    """Tells the workers that there is something to do."""

    def notify(self, notifications: Collection[Notification]) -> None:
        """Notify the workers of these queues; returns soon. An exception is logged and undoes nothing."""
        ...


class NoNotifier:
    """Notifies nobody: for tests, simulations, and commands beside workers that look by themselves."""

    def notify(self, notifications: Collection[Notification]) -> None:
        """Do nothing."""


def note(connection: sa.Connection, queue: Queue, *keys: str) -> None:
    """Note that rows of this transaction wait in the queue; its workers are notified after the commit.

    Raises RuntimeError for a connection that neither `Database.run` nor `Database.write` opened: nobody would be
    notified of what it commits.
    """
    notes = connection.info.get(_INFO_KEY)
    if notes is None:
        message = f"the transaction notifies nobody of {queue!r}: open it with Database.run or Database.write"
        raise RuntimeError(message)
    for key in keys:
        notes[queue, key] = None


@contextmanager
def collect_notes(connection: sa.Connection) -> Iterator[Collection[Notification]]:
    """Give the notes of a transaction that begins on this connection: each once, in the order of the first."""
    notes: dict[Notification, None] = {}
    connection.info[_INFO_KEY] = notes
    try:
        yield notes.keys()
    finally:
        # Asking an invalidated connection for its info would open a new one.
        if not connection.invalidated:
            del connection.info[_INFO_KEY]
