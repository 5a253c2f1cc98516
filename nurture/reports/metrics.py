"""Numbers for Prometheus: what each room did, counted as it happens, and what waits, asked of the database.

A counter counts in the process that did the work; a worker of several processes shares them through the
directory that PROMETHEUS_MULTIPROC_DIR names. The gauges come from SQL, so any process tells the same.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from nurture.access.sessions import oldest_transaction
from nurture.database.engine import Database
from nurture.domain.instant import SECOND, Instant
from nurture.reports.backlog import backlog
from nurture.runtime.clock import Clock, monotonic

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_items = Counter(
    "nurture_items",
    "What a room did, by its reason: applied, duplicate, sent, deferred, skipped ...",
    ["room", "reason"],
)
_seconds = Histogram(
    "nurture_batch_seconds",
    "How long a room's batch took.",
    ["room"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def count(room: str, counts: Mapping[str, int]) -> None:
    """Add what a room did; reasons with nothing to add are left out."""
    for reason, number in counts.items():
        if number > 0:
            _items.labels(room, reason).inc(number)


@contextmanager
def timed(room: str) -> Iterator[None]:
    """Measure how long the block takes, as one batch of the room."""
    start = monotonic()
    try:
        yield
    finally:
        _seconds.labels(room).observe(monotonic() - start)


def page(database: Database, *, clock: Clock) -> bytes:
    """Return everything as Prometheus reads it (CONTENT_TYPE)."""
    gauges = CollectorRegistry(auto_describe=False)
    gauges.register(_Backlogs(database, clock.now()))
    return prometheus_client.generate_latest(registry()) + prometheus_client.generate_latest(gauges)


def registry() -> CollectorRegistry:
    """Return the counters: of all processes that share a directory, else of this one."""
    together = CollectorRegistry()
    try:
        _Shared(together)
    except ValueError:  # no shared directory: this process is all there is
        return prometheus_client.REGISTRY
    return together


def share(process: Callable[[], str]) -> None:
    """Keep this process's counters, and its children's, in the shared directory under the name that `process` gives.

    The name must be one that no other running process has, and one that a successor takes over: counters named
    by process number, as they are without this, leave files behind for every process that ever was. Call it
    before anything is counted; without a shared directory it changes nothing.
    """
    with contextlib.suppress(ValueError):  # there is no directory
        _Shared(None)
        values.ValueClass = values.MultiProcessValue(process)  # type: ignore[no-untyped-call]


class _Shared(MultiProcessCollector):
    """The counters of all processes that share a directory, added up when they are asked for."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        super().__init__(registry)  # type: ignore[no-untyped-call]

    @staticmethod
    def merge(files: Iterable[str], accumulate: bool = True) -> Iterable[Metric]:
        """Add up the files of all processes.

        A process makes its file before it gives it a size. Nothing is counted in an empty one, and reading it
        would cost the whole page.
        """
        told = [file for file in files if Path(file).stat().st_size]
        return MultiProcessCollector.merge(told, accumulate)  # type: ignore[no-untyped-call, no-any-return]


class _Backlogs(Collector):
    """The gauges, computed when they are asked for."""

    def __init__(self, database: Database, now: Instant) -> None:
        self._database = database
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("nurture_database_up", "1 when the database answers.")
        try:
            with self._database.read() as connection:
                found = backlog(connection, now=self._now)
                oldest = oldest_transaction(connection)
        except DBAPIError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield GaugeMetricFamily("nurture_inbox_depth", "Events not yet applied.", found.inbox_depth)
        yield GaugeMetricFamily("nurture_messages_in_doubt", "Mails of unknown fate.", found.in_doubt)
        waiting = GaugeMetricFamily("nurture_messages_waiting", "Decided mails, by lane.", labels=["lane"])
        for lane, number in found.waiting.items():
            waiting.add_metric([lane], number)
        yield waiting
        age = GaugeMetricFamily(
            "nurture_oldest_due_seconds", "For how long a queue's oldest due row is due.", labels=["queue"]
        )
        for queue in ("inbox", "advance", "deliver"):
            age.add_metric([queue], (self._now - found.due_since.get(queue, self._now)) / SECOND)
        yield age
        yield GaugeMetricFamily(
            "nurture_oldest_transaction_seconds",
            "For how long the oldest transaction of another session is open.",
            oldest.seconds if oldest is not None else 0,
        )
