"""The only place that reads a clock.

Business time is an argument everywhere else; processes take it from a `Clock` at their edge. Leases and
fences use the database's time, so that a worker with a wrong clock harms nobody.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

import sqlalchemy as sa

from nurture.domain.instant import MINUTE, Duration, Instant, from_datetime


class Clock(Protocol):
    """Tells business time and lease time."""

    def now(self) -> Instant:
        """Return business time, UTC."""
        ...

    def lease_now(self, connection: sa.Connection) -> Instant:
        """Return the time that leases are counted by."""
        ...


class SystemClock:
    """Business time from this host, lease time from the database."""

    def now(self) -> Instant:
        """Return this host's time."""
        return from_datetime(datetime.now(UTC))

    def lease_now(self, connection: sa.Connection) -> Instant:
        """Return the database server's time (SQLite: this host's, it is the same machine)."""
        if connection.dialect.name == "postgresql":
            statement = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            return int(connection.execute(statement).scalar_one())
        return self.now()


#: A host whose clock differs from the database's by more than this works on nothing: it would send mail early,
#: call late what is not, and forget what is to be kept.
OFF_MAX: Duration = 2 * MINUTE


def is_off(clock: Clock, connection: sa.Connection) -> bool:
    """Tell whether this host's time cannot be worked by. SQLite's is this host's own and never off."""
    return abs(clock.now() - clock.lease_now(connection)) > OFF_MAX


class ManualClock:
    """Virtual time for simulation and tests; replaces both times."""

    def __init__(self, start: Instant) -> None:
        """Start at this instant."""
        self.current = start

    def now(self) -> Instant:
        """Return the virtual instant."""
        return self.current

    def lease_now(self, connection: sa.Connection) -> Instant:  # noqa: ARG002 - same protocol as the others
        """Return the virtual instant too."""
        return self.current

    def advance_to(self, instant: Instant) -> None:
        """Move forward; never back."""
        self.current = max(self.current, instant)


def monotonic() -> float:
    """Return seconds that only grow, for measuring how long work takes."""
    return time.monotonic()


#: Of Linux's clocks the one that counts sleep too.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Return seconds that only grow and go on while the machine sleeps; for how long ago something was."""
    return time.clock_gettime(_STEADY)


def pause(seconds: float) -> None:
    """Sleep; here so that virtual time can replace it."""
    time.sleep(seconds)
