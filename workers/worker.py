"""The worker of `celery -A workers worker`: Celery's own, without the messages between workers."""

from typing import Any

from celery.apps import worker


class Worker(worker.Worker):
    """A worker that takes tasks at once.

    Celery's would first ask all others which tasks were revoked (mingle: one second, at every start and at every
    new connection to the broker) and listen to their events ever after (gossip). Nothing here is revoked: what is
    called off is called off in the database.
    """

    def __init__(self, **options: Any) -> None:
        """Take Celery's options, these two always on."""
        super().__init__(**{**options, "without_mingle": True, "without_gossip": True})
