"""Metrics for Prometheus: counters of the work each room did, and gauges of the work that waits.

A counter counts in the process that did the work; the processes of a worker share counters through the directory
that PROMETHEUS_MULTIPROC_DIR names. The gauges come from SQL, so every process reports the same.
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

from nurture.access.sessions import find_oldest_transaction
from nurture.database.engine import Database
from nurture.domain.instant import SECOND
from nurture.reports.backlog import measure_backlog
from nurture.reports.health_metrics import gauges as health_gauges
from nurture.reports.signs import load_signs
from nurture.runtime.clock import Clock, monotonic

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_items = Counter(
    "nurture_items",
    "Work of a room, by reason: applied, duplicate, sent, deferred, skipped ...",
    ["room", "reason"],
)
_seconds = Histogram(
    "nurture_batch_seconds",
    "How long a room's batch took.",
    ["room"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def count(room: str, counts: Mapping[str, int]) -> None:
    """Add the counts of a room to its counters; a count of zero is left out."""
    for reason, number in counts.items():
        if number > 0:
            _items.labels(room, reason).inc(number)


@contextmanager
def timed(room: str) -> Iterator[None]:
    """Record how long the block takes, as one batch of the room."""
    start = monotonic()
    try:
        yield
    finally:
        _seconds.labels(room).observe(monotonic() - start)


def render_page(database: Database, *, clock: Clock, takes_mail: bool = False) -> bytes:
    """Return all metrics in the text format of Prometheus (CONTENT_TYPE). takes_mail: as `load_signs` takes it."""
    gauges = CollectorRegistry(auto_describe=False)
    gauges.register(_Backlogs(database, clock, takes_mail=takes_mail))
    return prometheus_client.generate_latest(counter_registry()) + prometheus_client.generate_latest(gauges)


def counter_registry() -> CollectorRegistry:
    """Return the counters of all processes that share a directory, without one of this process."""
    shared = CollectorRegistry()
    try:
        _Shared(shared)
    except ValueError:  # no shared directory: this process has its own registry
        return prometheus_client.REGISTRY
    return shared


def share_counters(process: Callable[[], str]) -> None:
    """Store this process's counters, and its children's, in the shared directory under the name that `process` returns.

    The name must belong to no other running process and pass to a successor: the default, the process number, leaves
    files behind for every process that ever ran. Call it before the first count; without a shared directory it does
    nothing.
    """
    with contextlib.suppress(ValueError):  # there is no directory
        _Shared(None)
        values.ValueClass = values.MultiProcessValue(process)  # type: ignore[no-untyped-call]


class _Shared(MultiProcessCollector):
    """The counters of all processes that share a directory, added up on collection."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        super().__init__(registry)  # type: ignore[no-untyped-call]

    @staticmethod
    def merge(files: Iterable[str], accumulate: bool = True) -> Iterable[Metric]:
        """Add up the files of all processes.

        A process creates its file empty and sizes it later. An empty file holds no counts, and reading it would fail
        the whole page.
        """
        filled = [file for file in files if Path(file).stat().st_size]
        return MultiProcessCollector.merge(filled, accumulate)  # type: ignore[no-untyped-call, no-any-return]


class _Backlogs(Collector):
    """The gauges, computed on collection."""

    def __init__(self, database: Database, clock: Clock, *, takes_mail: bool) -> None:
        self._database = database
        self._clock = clock
        self._now = clock.now()
        self._takes_mail = takes_mail

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("nurture_database_up", "1 when the database answers.")
        try:
            with self._database.read() as connection:
                backlog = measure_backlog(connection, now=self._now)
                oldest = find_oldest_transaction(connection)
                now = self._clock.lease_now(connection)
                signs = load_signs(connection, now=now, takes_mail=self._takes_mail, counts=False)
        except DBAPIError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield GaugeMetricFamily("nurture_inbox_depth", "Events not yet applied.", backlog.inbox_depth)
        yield GaugeMetricFamily("nurture_messages_in_doubt", "Mails of unknown fate.", backlog.in_doubt)
        waiting = GaugeMetricFamily("nurture_messages_waiting", "Decided mails, by lane.", labels=["lane"])
        for lane, number in backlog.waiting.items():
            waiting.add_metric([lane], number)
        yield waiting
        age = GaugeMetricFamily(
            "nurture_oldest_due_seconds",
            "Seconds since the oldest due row of a queue became due.",
            labels=["queue"],
        )
        for queue in ("inbox", "advance", "deliver"):
            age.add_metric([queue], (self._now - backlog.due_since.get(queue, self._now)) / SECOND)
        yield age
        yield GaugeMetricFamily(
            "nurture_oldest_transaction_seconds",
            "Seconds that the oldest transaction of another session has been open.",
            oldest.seconds if oldest is not None else 0,
        )
        yield from health_gauges(signs)
