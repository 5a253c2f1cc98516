"""Local calendars: the hour, weekday, day and month of an instant in a zone, and when each next changes.

The offsets of a zone are looked up once per stretch of about 400 days and cached; after that a local value takes
a few additions. Daylight saving needs no rule of its own: a change of the offset is a boundary like midnight.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nurture.domain.conditions.nodes import Unit
from nurture.domain.instant import DAY, HOUR, SECOND, Duration, Instant, to_datetime

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Every value a unit can have.
DOMAINS: dict[Unit, tuple[int | str, ...]] = {
    "hour": tuple(range(24)),
    "weekday": WEEKDAYS,
    "day": tuple(range(1, 32)),
    "month": tuple(range(1, 13)),
}

# A stretch is 2^45 microseconds, 407 days.
_STRETCH_BITS = 45
# No zone has ever changed its offset twice within this time.
_STEP = 12 * HOUR
# 1970-01-01 counted from 0001-01-01, and its weekday (Thursday).
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY = 3


class Calendar:
    """The offsets of one zone."""

    __slots__ = ("_stretches", "_zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._stretches: dict[int, tuple[list[Instant], list[Duration]]] = {}

    def offset_span(self, at: Instant) -> tuple[Duration, Instant]:
        """Return the offset from UTC at an instant, and a later instant until which that offset holds."""
        number = at >> _STRETCH_BITS
        stretch = self._stretches.get(number)
        if stretch is None:
            stretch = self._stretches[number] = self._read(number)
        starts, offsets = stretch
        place = bisect_right(starts, at)
        until = starts[place] if place < len(starts) else (number + 1) << _STRETCH_BITS
        return offsets[place - 1], until

    def _read(self, number: int) -> tuple[list[Instant], list[Duration]]:
        at, end = number << _STRETCH_BITS, (number + 1) << _STRETCH_BITS
        offset = self._offset(at)
        starts, offsets = [at], [offset]
        while at < end:
            following = min(at + _STEP, end)
            if self._offset(following) != offset:
                following = self._change(at, following, offset)
                offset = self._offset(following)
                starts.append(following)
                offsets.append(offset)
            at = following
        return starts, offsets

    def _change(self, before: Instant, after: Instant, offset: Duration) -> Instant:
        """Return the first instant of the new offset; `before` has the old offset, `after` the new one."""
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _offset(self, at: Instant) -> Duration:
        offset = to_datetime(at).astimezone(self._zone).utcoffset() or timedelta()
        return (offset.days * 86_400 + offset.seconds) * SECOND


@lru_cache(maxsize=1024)
def calendar_of(zone: str) -> Calendar | None:
    """Return the calendar of an IANA zone, or None when there is no such zone."""
    try:
        return Calendar(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):  # unknown; not a name; a folder of zones
        return None


def local_value(calendar: Calendar, unit: Unit, at: Instant) -> int | str:
    """Return the hour (0-23), weekday (`mon`), day of the month or month (1-12) at an instant."""
    offset, _ = calendar.offset_span(at)
    return _value(unit, at + offset)


def iterate_changes(
    calendar: Calendar, unit: Unit, at: Instant, *, until: Instant
) -> Iterator[tuple[Instant, int | str]]:
    """Yield each instant after `at`, up to `until`, at which the local value may change, and the value then."""
    while True:
        offset, holds_until = calendar.offset_span(at)
        at = min(_boundary(unit, at + offset) - offset, holds_until)
        if at > until:
            return
        yield at, local_value(calendar, unit, at)


def _value(unit: Unit, local: int) -> int | str:
    days, rest = divmod(local, DAY)
    if unit == "hour":
        return rest // HOUR
    if unit == "weekday":
        return WEEKDAYS[(days + _EPOCH_WEEKDAY) % 7]
    day = date.fromordinal(_EPOCH_ORDINAL + days)
    return day.day if unit == "day" else day.month


def _boundary(unit: Unit, local: int) -> int:
    """Return the next local time at which the unit changes if the offset stays the same."""
    if unit == "hour":
        return local - local % HOUR + HOUR
    midnight = local - local % DAY
    if unit != "month":
        return midnight + DAY
    day = date.fromordinal(_EPOCH_ORDINAL + local // DAY)
    following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return midnight + (following - day).days * DAY
