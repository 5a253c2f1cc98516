"""The context of a worker process: services, notifier and one transport per lane; created at the first use.

It is created after the fork, never before: a child must not use its parent's connections.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

from nurture.app.installation import open_existing
from nurture.app.services import Services
from nurture.delivery.journal.recovery import open_journal
from nurture.delivery.journal.restore_detection import JournalProgress
from nurture.delivery.types import Delivery
from nurture.domain.instant import DAY
from nurture.health.lane_log import LaneLog
from nurture.runtime import gc_tuning
from nurture.transports.registry import Transport, open_lanes, open_transport, open_transports
from nurture.transports.types import OutgoingMail, Stage

from .heartbeat import Heartbeat
from .notify import WorkerNotifier, open_notifier


@dataclass(slots=True)
class Lane:
    """A lane's transport in this process; one connection at a time."""

    name: str
    transport: Transport
    busy: Lock = field(default_factory=Lock)

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Yield True and hold the lane, or False when this process is sending on it already."""
        if not self.busy.acquire(blocking=False):
            yield False
            return
        try:
            yield True
        finally:
            self.busy.release()


@dataclass(slots=True)
class Activity:
    """How many loops run in this process; while one does, urgent work may wait behind it."""

    running: int = 0
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Count a loop for the block."""
        with self._lock:
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1


@dataclass(slots=True)
class UrgentLanes:
    """Sends urgent mail while the lanes are busy: connections and a journal of its own, opened at the first use."""

    services: Services
    delivery: Delivery
    # Lane -> its transport for urgent mail; none for a lane of one connection.
    transports: dict[str, Transport] = field(default_factory=dict)
    _opened: Delivery | None = None

    def opened(self) -> Delivery:
        """Return the delivery: an own sender, so that neither settles what the other has under way."""
        if self._opened is None:
            journal = open_journal(
                self.services.database, self.services.settings.journal_folder, clock=self.services.clock
            )
            self._opened = replace(self.delivery, worker=journal.name, journal=journal)
        return self._opened

    def record_stage(self, mail: OutgoingMail, stage: Stage, reply: str) -> None:
        """Record it in the journal, which was opened before the first mail."""
        journal = self.opened().journal
        if journal is not None:
            journal.record_stage(mail, stage, reply)

    def close(self) -> None:
        """Close the connections, then the journal."""
        for transport in self.transports.values():
            transport.close()
        if self._opened is not None and self._opened.journal is not None:
            self._opened.journal.close()


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that the rooms need in this process."""

    services: Services
    notifier: WorkerNotifier
    lanes: dict[str, Lane]
    delivery: Delivery
    # Mail to operators, sent without a journal: a second copy does no harm.
    notices: Lane
    urgent: UrgentLanes
    activity: Activity = field(default_factory=Activity)
    journal_progress: JournalProgress = field(default_factory=JournalProgress)

    def close(self) -> None:
        """Close every connection."""
        self.end_deliveries()
        self.notices.transport.close()
        self.services.close()

    def end_deliveries(self) -> None:
        """Close the connections of the lanes and the journals; afterwards nothing may be sent."""
        for lane in self.lanes.values():
            lane.transport.close()
        self.urgent.close()
        if self.delivery.journal is not None:
            self.delivery.journal.close()


def make_context(services: Services, *, notifier: WorkerNotifier | None = None) -> Context:
    """Return a context over services that are open already; their transactions notify through its notifier."""
    settings = services.settings
    notifier = notifier or open_notifier(settings)
    services = services.notifying(notifier)
    gc_tuning.settle()
    urls = open_lanes(settings.mail_url)
    journal = open_journal(services.database, settings.journal_folder, clock=services.clock)
    delivery = Delivery(
        clock=services.clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        base_url=settings.public_url,
        worker=journal.name,
        only_to=frozenset(settings.only_to),
        bounce_address=settings.bounce_address,
        tracking=settings.tracking,
        journal=journal,
        warm_up=settings.warm_up_plans,
        provider_limits=settings.provider_limits,
        lane_log=LaneLog(services.database, clock=services.clock),
    )
    urgent = UrgentLanes(services, delivery)
    lanes = {}
    for name, url in urls.items():
        transport, few = open_transports(
            url, on_stage=journal.record_stage, on_urgent_stage=urgent.record_stage
        )
        lanes[name] = Lane(name, transport)
        if few is not None:
            urgent.transports[name] = few
    return Context(
        services=services,
        notifier=notifier,
        lanes=lanes,
        notices=Lane("notices", open_transport(urls["main"])),
        delivery=delivery,
        urgent=urgent,
        journal_progress=JournalProgress(keep=settings.journal_days * DAY),
    )


def start_heartbeat(context: Context, *, kind: str, doing: str) -> Heartbeat:
    """Start the heartbeat of a process that sends mail, and return it; `stop()` ends it."""
    lanes = open_lanes(context.services.settings.mail_url)
    lane_log = context.delivery.lane_log
    return Heartbeat(context.services, kind=kind, doing=doing, lanes=lanes, lane_log=lane_log).start()


_lock = Lock()
_made: dict[int, Context] = {}
# Without this, a fork while another thread holds the lock would leave it locked in the child.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def here() -> Context:
    """Return this process's context; opens the installation at the first call."""
    with _lock:
        made = _made.get(os.getpid())
        if made is None:
            # A worker replaces its processes now and then, also while a newer release has migrated the database.
            made = _made[os.getpid()] = make_context(open_existing(or_newer=True))
        return made


def known() -> bool:
    """Tell whether this process has a context already."""
    return os.getpid() in _made


def use(context: Context | None) -> None:
    """Use this context in the process, or (None) forget the present one."""
    with _lock:
        _made.clear()
        if context is not None:
            _made[os.getpid()] = context
