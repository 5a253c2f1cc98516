"""Local time: zones from the tzdata package, wall times, slots."""

import bisect
import datetime as dt
import functools
import zoneinfo
from collections.abc import Iterator
from typing import Any

from .values import DAY, EPOCH, seconds

zoneinfo.reset_tzpath(to=())

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Zone:
    """One zone, with its offsets around the present as a table of changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.info = zoneinfo.ZoneInfo(name)
        self.offset_at = functools.lru_cache(maxsize=4096)(self._offset_at)
        self.instant_of = functools.lru_cache(maxsize=65536)(self._instant_of)
        self.local = functools.lru_cache(maxsize=64)(self._local)

    def _offset_at(self, hour: int) -> int:
        moment = EPOCH + dt.timedelta(seconds=hour * 900)
        offset = moment.astimezone(self.info).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    def wall(self, moment: int) -> int:
        """The local wall time of an instant, as if it were seconds of UTC."""
        return moment + self.offset_at(moment // 900)

    def _local(self, moment: int) -> tuple[str, int, int, int]:
        local = EPOCH + dt.timedelta(seconds=self.wall(moment))
        return WEEKDAYS[local.weekday()], local.month, local.day, local.hour

    def day(self, moment: int) -> dt.date:
        """The local day of an instant."""
        return (EPOCH + dt.timedelta(seconds=self.wall(moment))).date()

    def _instant_of(self, day: dt.date, time_of_day: int) -> int:
        """The instant of a wall time: its first occurrence, or the first instant after a gap."""
        wall = (day - dt.date(1970, 1, 1)).days * DAY + time_of_day
        result = [moment for offset in self.offsets_near(wall) if self.wall(moment := wall - offset) == wall]
        return min(result) if result else self.gap_end(wall)

    def offsets_near(self, wall: int) -> set[int]:
        """Every offset in force within a day around a wall time."""
        return {self.offset_at((wall + shift) // 900) for shift in range(-36 * 3600, 36 * 3600 + 1, 6 * 3600)}

    def gap_end(self, wall: int) -> int:
        """The first instant whose wall time is past a wall time that does not exist."""
        steps = range((wall - 36 * 3600) // 900, (wall + 36 * 3600) // 900)
        return (
            900 * bisect.bisect_left(steps, wall, key=lambda step: self.wall(step * 900)) + 900 * steps.start
        )


@functools.lru_cache(maxsize=256)
def zone(name: str) -> Zone:
    """The zone of that name."""
    return Zone(name)


@functools.lru_cache(maxsize=256)
def is_zone(name: str) -> bool:
    """Whether there is a zone of that name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@functools.lru_cache(maxsize=64)
def time_of_day(text: str) -> int:
    """Seconds since midnight of a time such as `09:30`."""
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


class Slot:
    """Local times that repeat: on weekdays, or on a day of the month."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.time = time_of_day(spec["local_time"]) if "local_time" in spec else None
        self.weekdays = tuple(spec["weekdays"]) if spec.get("weekdays") else WEEKDAYS
        self.month_day: int | None = spec.get("month_day")

    def allows(self, day: dt.date) -> bool:
        """Whether that local day is one of the slot's."""
        if self.month_day is not None:
            return day.day == min(self.month_day, last_of_month(day).day)
        return WEEKDAYS[day.weekday()] in self.weekdays

    def days(self, zone: Zone, moment: int) -> Iterator[dt.date]:
        """The slot's local days from the day of an instant on."""
        first = zone.day(moment)
        return (day for ahead in range(800) if self.allows(day := first + dt.timedelta(days=ahead)))

    def next(self, zone: Zone, moment: int) -> int:
        """The first instant at or after one that the slot allows."""
        for day in self.days(zone, moment):
            if self.time is None:
                return max(moment, zone.instant_of(day, 0))
            result = zone.instant_of(day, self.time)
            if result >= moment:
                return result
        raise ValueError("a slot that never comes")


def last_of_month(day: dt.date) -> dt.date:
    """The last day of a day's month."""
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def quiet_until(zone: Zone, moment: int, start: int, end: int) -> int | None:
    """When the quiet hours end in which an instant lies; None outside of them."""
    if start == end:
        return None
    wall = zone.wall(moment) % DAY
    night = start <= wall or wall < end if start > end else start <= wall < end
    if not night:
        return None
    day = zone.day(moment)
    result = zone.instant_of(day, end)
    return result if result > moment else zone.instant_of(day + dt.timedelta(days=1), end)


__all__ = ["Slot", "Zone", "is_zone", "last_of_month", "quiet_until", "seconds", "time_of_day", "zone"]
