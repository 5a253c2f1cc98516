"""Worker, scheduler and poll threads inside one process, for `nurture up`: configuration, not a second way.

The same tasks on the same Celery, with threads and a broker in memory. Starting and stopping may be repeated
in one process.
"""

from threading import Event, Thread
from typing import Any

from apscheduler.schedulers.base import BaseScheduler
from celery.worker import WorkController, state

from nurture.app.services import Services
from nurture.domain.errors import Transient

from . import context
from .application import app, configure
from .heartbeat import Heartbeat
from .poll import Poller
from .scheduler import start_scheduler

#: Tasks run at the same time in this process.
THREADS = 4
#: A command beside `nurture up` notifies nobody; its rows are found within this many seconds.
PAUSE_SECONDS = (0.5, 0.5)
_START_SECONDS_MAX = 20.0


class Embedded:
    """Everything that works in the background, in this process."""

    def __init__(self, services: Services) -> None:
        """Prepare it for services that are open and stay open until it has stopped."""
        self._services = services
        self._thread: Thread | None = None
        self._poller: Poller | None = None
        self._scheduler: BaseScheduler | None = None
        self._heartbeat: Heartbeat | None = None

    def start(self) -> None:
        """Start everything; returns when tasks are being taken. Raises Transient when that takes too long."""
        configure(self._services.settings)
        made = context.make_context(self._services)
        context.use(made)
        self._start_worker()
        self._poller = Poller(who="embedded", pause=PAUSE_SECONDS, context=lambda: made)
        self._poller.start()
        self._scheduler = start_scheduler(self._services)
        address = self._services.settings.public_url
        self._heartbeat = context.start_heartbeat(
            made, kind="up", doing=f"api, worker and scheduler; {address}"
        )

    def stop(self) -> None:
        """Stop taking work, finish what is under way, and let go of the transports; safe to repeat."""
        if self._heartbeat:
            self._heartbeat.stop()
        if self._scheduler:
            self._scheduler.shutdown(wait=True)
        if self._thread:
            # The consumer looks at this between two waits of at most two seconds.
            state.should_stop = 0  # type: ignore[assignment]
        if self._poller:
            self._poller.stop()
        if self._thread:
            self._thread.join(60.0)
            state.should_stop = None
        if context.known():
            context.here().end_deliveries()
            context.use(None)
        self._scheduler = self._thread = self._poller = self._heartbeat = None

    def _start_worker(self) -> None:
        worker = _Worker(
            app=app,
            pool="threads",
            concurrency=THREADS,
            hostname="embedded@localhost",
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )
        self._thread = Thread(target=worker.start, name="worker", daemon=True)
        self._thread.start()
        if not worker.takes_tasks.wait(_START_SECONDS_MAX):
            message = f"the embedded worker took no task within {_START_SECONDS_MAX} s"
            raise Transient(message)


class _Worker(WorkController):
    """Celery's worker, which tells when it has begun to take tasks."""

    def __init__(self, **options: Any) -> None:
        self.takes_tasks = Event()
        super().__init__(**options)

    def on_consumer_ready(self, consumer: Any) -> None:
        super().on_consumer_ready(consumer)
        self.takes_tasks.set()
