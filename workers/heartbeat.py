"""Threads of a process that tell how it does: its row, the state of its lanes, and the trouble that all rows show.

Every process has them: api, workers (each of their processes), scheduler, inbound, `nurture up`. It costs
one short transaction every few seconds.
"""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread
from types import TracebackType
from typing import Self

import redis
import sqlalchemy as sa
from kombu.exceptions import OperationalError

import nurture
from nurture.app.sender_checks import check_sender_hourly
from nurture.app.services import Services
from nurture.app.watch import watch
from nurture.domain.health.shared_settings import SHARED
from nurture.domain.health.signs import BEAT_EVERY, ProcessSign
from nurture.domain.instant import SECOND
from nurture.health import queries
from nurture.health.check_lanes import check_lanes
from nurture.health.lane_log import LaneLog
from nurture.runtime.log import get_logger
from nurture.runtime.settings import Settings
from nurture.runtime.settings_fingerprints import compute_fingerprints

from .application import app, configure

#: How often a process asks whether a lane should be checked.
_CHECK_SECONDS = 2.0
_BROKER_SECONDS = 2.0
_log = get_logger("heartbeat")


class Heartbeat:
    """The row of one process, written again and again until the block is left."""

    def __init__(
        self,
        services: Services,
        *,
        kind: str,
        doing: str,
        lanes: Mapping[str, str] | None = None,
        lane_log: LaneLog | None = None,
    ) -> None:
        """Prepare it. kind: of `KINDS`. doing: what the process does, in words.

        lanes: name -> URL of the transports of a process that sends; lane_log: where it notes their outcomes.
        """
        self._services = services
        self._lanes = dict(lanes or {})
        self._lane_log = lane_log
        self._ended = Event()
        self._sign = ProcessSign(
            kind,
            socket.gethostname(),
            os.getpid(),
            nurture.__version__,
            started_at=0,
            beat_at=0,
            doing=doing,
            settings=compute_fingerprints(services.settings, SHARED),
        )
        self._threads = [Thread(target=self._run, args=(self.beat, BEAT_EVERY / SECOND), name="heartbeat")]
        if self._lanes:
            self._threads.append(Thread(target=self._run, args=(self._check, _CHECK_SECONDS), name="check"))

    def start(self) -> Self:
        """Start the threads; the first row is written at once."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()
        return self

    def __enter__(self) -> Self:
        """Start the threads."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the row, so that nobody looks for a process that ended as it should."""
        self.stop()

    def stop(self, *, seconds: float = 10.0) -> None:
        """End the threads, write what is left and delete the row; safe to repeat."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(seconds)
        if self._lane_log is not None:
            self._lane_log.flush()
        place = self._sign.host, self._sign.pid
        with suppress(Exception):
            # Without the database its row becomes stale by itself.
            self._services.database.run(lambda connection: queries.delete_process(connection, *place))

    def beat(self) -> None:
        """Write the row, then look for trouble."""
        error = broker_error(self._services.settings)
        if self._lane_log is not None:
            self._lane_log.flush()
        self._sign = self._services.database.run(lambda connection: self._save(connection, error))
        watch(self._services)

    def _save(self, connection: sa.Connection, error: str | None) -> ProcessSign:
        now = self._services.clock.lease_now(connection)
        sign = replace(self._sign, beat_at=now, started_at=self._sign.started_at or now)
        if error is not None:
            sign = replace(sign, broker_error=error, broker_at=sign.broker_at if error else now)
        queries.save_process(connection, sign)
        return sign

    def _check(self) -> None:
        every = self._services.settings.check_relay * SECOND
        if every:
            check_lanes(self._services.database, self._lanes, every=every, clock=self._services.clock)
        check_sender_hourly(self._services)

    def _run(self, work: Callable[[], None], seconds: float) -> None:
        is_failing = False
        while not self._ended.is_set():
            try:
                work()
                is_failing = False
            except Exception as error:  # noqa: BLE001 - the database may be away; the thread must be there afterwards
                if not is_failing:
                    _log.warning("the row of this process was not written; tried again", error=str(error))
                is_failing = True
            self._ended.wait(seconds)


def broker_error(settings: Settings) -> str | None:
    """Return why the broker does not answer, "" when it does, None for one inside this process."""
    url = settings.broker_url
    if url.startswith("memory:"):
        return None
    try:
        if url.startswith(("redis:", "rediss:", "redis+socket:", "valkey:")):
            options = {"socket_timeout": _BROKER_SECONDS, "socket_connect_timeout": _BROKER_SECONDS}
            with redis.Redis.from_url(url, **options) as client:
                client.ping()
        else:
            configure(settings)
            with app.connection_for_write(connect_timeout=_BROKER_SECONDS) as connection:
                connection.connect()
    except (redis.RedisError, OperationalError, OSError) as error:
        return str(error)[:300] or type(error).__name__
    return ""
