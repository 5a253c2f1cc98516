"""Group commit: what concurrent requests bring goes into as few transactions as possible.

A request hands in its events and waits; a writer thread takes everything that waits by then, stores it in one
transaction, and only after the commit are the requests answered and the bells rung. Nobody waits for company:
an idle writer takes a single event at once. (Single calls, 32 at a time: 3 times as many a second.)
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from nurture.app.ingest import Intake
from nurture.contacts.accept import NewEvent, Rejected, accept, quarantine, shard_for
from nurture.database.engine import Database, encode
from nurture.domain.errors import Transient
from nurture.domain.instant import SECOND
from nurture.reports.metrics import count, timed
from nurture.runtime.clock import Clock, is_off, steady
from nurture.runtime.failpoints import failpoint
from nurture.runtime.notifications import Bells

log = structlog.get_logger(__name__)

#: Events of one transaction; a single larger request still goes in whole.
EVENTS_MAX = 2_000
#: Seconds after which the database is asked again what time it is.
CLOCK_CHECK_SECONDS = 1.0
#: Events waiting in memory for a commit; more than this is refused, the client comes again.
BACKLOG_MAX = 20_000


class Unavailable(Exception):
    """Events cannot be taken now; nothing was stored, send the same again."""


class _ClockCheck:
    """Asks the database whether this host's clock, which has stamped what comes in, agrees with its own.

    Once a second, and at once when the clock has jumped: so no event is stored with a jumped clock's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at = float("-inf")
        self._ahead = 0.0

    def check(self, connection: sa.Connection) -> None:
        """Raise Away when the two are minutes apart."""
        at = steady()
        ahead = self._clock.now() / SECOND - at
        if at - self._asked_at < CLOCK_CHECK_SECONDS and abs(ahead - self._ahead) < CLOCK_CHECK_SECONDS:
            return
        if is_off(self._clock, connection):
            log.error(
                "this host's clock is minutes away from the database's; no event is taken until both agree"
            )
            raise Unavailable(
                "this host's clock is minutes away from the database's; nothing is taken until both agree"
            )
        self._asked_at, self._ahead = at, ahead


@dataclass(slots=True)
class _PendingRequest:
    """One request's share, and where its answer is awaited."""

    intake: Intake
    stored: Future[None] = field(default_factory=Future)


class GroupCommit:
    """The writers of the inbox in this process. Start before use, stop to store what still waits."""

    def __init__(self, *, database: Database, bells: Bells, clock: Clock, writers: int | None = None) -> None:
        """Two writers keep PostgreSQL busy while one commit is flushed; SQLite has one writer anyway."""
        self._database = database
        self._bells = bells
        self._agreement = _ClockCheck(clock)
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
        """Store what still waits, then end; returns when the last commit is done."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    async def put(self, intake: Intake) -> None:
        """Return once these events and rejected items are committed. Raises Away: none of them is stored."""
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
            shards = self._store(group)
            try:
                for shard in shards:
                    self._bells.ring("inbox", str(shard))
            except Exception:
                # The events are durable and the workers look by themselves; the next group must be stored too.
                log.exception("bells_failed")

    def _take(self) -> list[_PendingRequest] | None:
        """Return what waits, up to a transaction's worth; None once stopped and empty."""
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
                # False: the client hung up before we began; without an answer it will send again.
                if waiting.stored.set_running_or_notify_cancel():
                    group.append(waiting)
            return group

    def _store(self, group: list[_PendingRequest]) -> set[int]:
        events = [event for waiting in group for event in waiting.intake.events]
        rejected = [item for waiting in group for item in waiting.intake.rejected]
        try:
            with timed("inbox"):
                _write(self._database, events, rejected, self._agreement)
        except Exception as error:  # noqa: BLE001 - whatever happens to one group, the thread serves the next
            failure = _failure(error)
            for waiting in group:
                waiting.stored.set_exception(failure)
            return set()
        failpoint("inbox.committed")
        count("inbox", {"accepted": len(events), "refused": len(rejected)})
        for waiting in group:
            waiting.stored.set_result(None)
        return {shard_for(event) for event in events}


def _failure(error: Exception) -> Exception:
    """Return what to tell the requests: that the database is away, or the fault itself, which is ours."""
    if not isinstance(error, (SQLAlchemyError, Transient, OSError)):
        return error
    away = Unavailable(f"the database is away: {type(error).__name__}")
    away.__cause__ = error
    return away


def _weight(waiting: _PendingRequest) -> int:
    return len(waiting.intake.events) + len(waiting.intake.rejected)


def _write(
    database: Database, events: Sequence[NewEvent], rejected: Sequence[Rejected], agreement: _ClockCheck
) -> None:
    """Store all in one transaction. An event that the database cannot hold is found by halving and set aside."""

    def work(connection: sa.Connection) -> None:
        agreement.check(connection)
        accept(connection, events)
        quarantine(connection, rejected)

    try:
        database.run(work)
    except DBAPIError as error:
        if not isinstance(error, (sa.exc.DataError, sa.exc.IntegrityError)):
            raise
        if len(events) <= 1:
            refused = [_refused(event, error) for event in events]
            database.run(lambda connection: quarantine(connection, [*rejected, *refused]))
            return
        half = len(events) // 2
        _write(database, events[:half], rejected, agreement)
        _write(database, events[half:], (), agreement)


def _refused(event: NewEvent, error: DBAPIError) -> Rejected:
    said = str(error.orig).split("\n", 1)[0]
    return Rejected(
        source=event.source,
        message_id=event.message_id,
        received_at=event.received_at,
        stage="shape",
        reason=f"the database cannot hold it: {said}"[:500],
        raw=encode({"event": event.name, "properties": event.properties})[:2_000],
    )
