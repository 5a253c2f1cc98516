"""Group commit: store the events of concurrent requests in as few transactions as possible.

A request adds its events to a queue and waits. A writer thread takes everything that is queued, stores it in one
transaction, and after the commit resolves the requests, then notifies the workers. An idle writer stores a single
event at once.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from nurture.app.ingest import Intake
from nurture.app.referral_codes import name_referrers
from nurture.contacts.accept import NewEvent, Rejected, accept, quarantine, reject_event
from nurture.database.engine import Database
from nurture.domain.errors import Transient
from nurture.domain.instant import SECOND
from nurture.domain.signing import SigningKeys
from nurture.reports.metrics import count, timed
from nurture.runtime.clock import Clock, is_off, steady
from nurture.runtime.failpoints import failpoint

log = structlog.get_logger(__name__)

#: Events in one transaction. A single larger request is still stored in one.
EVENTS_MAX = 2_000
#: Seconds after which this host's clock is compared with the database's again.
CLOCK_CHECK_SECONDS = 1.0
#: Events waiting in memory for a commit. When there are more, requests are refused and the client retries.
BACKLOG_MAX = 20_000


class Unavailable(Exception):
    """Events cannot be stored now. Nothing was stored; the client must send the same request again."""


class _ClockCheck:
    """Compares this host's clock, which stamps received events, with the database's clock.

    It compares once a second, and at once when the host's clock has jumped, so that no event is stored with the
    time of a clock that is wrong.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checked_at = float("-inf")
        self._ahead = 0.0

    def check(self, connection: sa.Connection) -> None:
        """Raise Unavailable when the two clocks are minutes apart."""
        at = steady()
        ahead = self._clock.now() / SECOND - at
        if at - self._checked_at < CLOCK_CHECK_SECONDS and abs(ahead - self._ahead) < CLOCK_CHECK_SECONDS:
            return
        if is_off(self._clock, connection):
            log.error(
                "this host's clock is minutes away from the database's; events are refused until both agree"
            )
            raise Unavailable(
                "this host's clock is minutes away from the database's; events are refused until both agree"
            )
        self._checked_at, self._ahead = at, ahead


@dataclass(slots=True)
class _PendingRequest:
    """One request's events, and the future that its handler awaits."""

    intake: Intake
    stored: Future[None] = field(default_factory=Future)


class GroupCommit:
    """The inbox writers of this process. Call start() before use, and stop() to store the queued rest."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        writers: int | None = None,
        keys: SigningKeys | None = None,
    ) -> None:
        """Create the writers. Default: two on PostgreSQL, so that one works while the other flushes; one on SQLite.

        keys: those of the codes of referral links; None: no event says by whose link a person came.
        """
        self._database = database
        self._keys = keys
        self._clock_check = _ClockCheck(clock)
        self._ready = threading.Condition()
        self._queue: deque[_PendingRequest] = deque()
        self._backlog = 0
        self._stopping = False
        number_of = writers or (1 if database.is_sqlite else 2)
        self._threads = [
            threading.Thread(target=self._work, name=f"inbox-writer-{number}", daemon=True)
            for number in range(number_of)
        ]

    def start(self) -> None:
        """Start the writer threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store the queued rest, then end the threads; returns after the last commit."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    async def put(self, intake: Intake) -> None:
        """Return once these events and rejected items are committed. Raises Unavailable when none was stored."""
        if self._keys is not None:
            intake.events = name_referrers(self._keys, intake.events)
        if not intake.events and not intake.rejected:
            return
        waiting = _PendingRequest(intake)
        with self._ready:
            if self._stopping or self._backlog > BACKLOG_MAX:
                raise Unavailable("too many events wait for the database")
            self._queue.append(waiting)
            self._backlog += _weight(waiting)
            self._ready.notify()
        await asyncio.wrap_future(waiting.stored)

    def _work(self) -> None:
        while (group := self._take()) is not None:
            self._store(group)

    def _take(self) -> list[_PendingRequest] | None:
        """Return the queued requests, up to EVENTS_MAX events; None once stopped and empty."""
        with self._ready:
            while not self._queue and not self._stopping:
                self._ready.wait()
            if not self._queue:
                return None
            group: list[_PendingRequest] = []
            room = EVENTS_MAX
            while self._queue and (not group or _weight(self._queue[0]) <= room):
                waiting = self._queue.popleft()
                room -= _weight(waiting)
                self._backlog -= _weight(waiting)
                # False: the client disconnected before its events were stored; it will send them again.
                if waiting.stored.set_running_or_notify_cancel():
                    group.append(waiting)
            return group

    def _store(self, group: list[_PendingRequest]) -> None:
        events = [event for waiting in group for event in waiting.intake.events]
        rejected = [item for waiting in group for item in waiting.intake.rejected]

        def answer() -> None:
            failpoint("inbox.committed")
            count("inbox", {"accepted": len(events), "refused": len(rejected)})
            for waiting in group:
                waiting.stored.set_result(None)

        try:
            with timed("inbox"):
                _write(self._database, events, rejected, self._clock_check, answer)
        except Exception as error:  # noqa: BLE001 - the thread must go on with the next group
            failure = _failure(error)
            for waiting in group:
                waiting.stored.set_exception(failure)


def _failure(error: Exception) -> Exception:
    """Return the error for the waiting requests: Unavailable for a database error, else the error itself."""
    if not isinstance(error, (SQLAlchemyError, Transient, OSError)):
        return error
    unavailable = Unavailable(f"the database is unavailable: {type(error).__name__}")
    unavailable.__cause__ = error
    return unavailable


def _weight(waiting: _PendingRequest) -> int:
    return len(waiting.intake.events) + len(waiting.intake.rejected)


def _write(
    database: Database,
    events: Sequence[NewEvent],
    rejected: Sequence[Rejected],
    clock_check: _ClockCheck,
    answer: Callable[[], None] | None,
) -> None:
    """Store all in one transaction, then call `answer`, before the workers are notified.

    Events that the database cannot store are found by halving and quarantined.
    """

    def work(connection: sa.Connection) -> None:
        clock_check.check(connection)
        accept(connection, events)
        quarantine(connection, rejected)

    try:
        database.run(work, on_commit=answer)
    except DBAPIError as error:
        if not isinstance(error, (sa.exc.DataError, sa.exc.IntegrityError)):
            raise
        if len(events) <= 1:
            refused = [_rejection_of(event, error) for event in events]
            database.run(lambda connection: quarantine(connection, [*rejected, *refused]), on_commit=answer)
            return
        half = len(events) // 2
        _write(database, events[:half], rejected, clock_check, None)
        _write(database, events[half:], (), clock_check, answer)


def _rejection_of(event: NewEvent, error: DBAPIError) -> Rejected:
    first_line = str(error.orig).split("\n", 1)[0]
    return reject_event(event, "shape", f"the database cannot store it: {first_line}"[:500])
