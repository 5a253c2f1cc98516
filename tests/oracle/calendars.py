"""Moments, which are named days of the calendar, and business time."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from . import clock
from .values import DAY, seconds

FAR_AHEAD = 31  # years in which a moment is looked for


class Moment:
    """Named days."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.known: dict[int, frozenset[dt.date]] = {}

    def has(self, day: dt.date) -> bool:
        """Whether a day is one of the moment's."""
        if day.year not in self.known:
            self.known[day.year] = frozenset(self.of_year(day.year))
        return day in self.known[day.year]

    def of_year(self, year: int) -> Iterator[dt.date]:
        """The days of one year."""
        spec = self.spec
        if "fixed" in spec:
            yield fixed(spec["fixed"], year)
        elif "easter" in spec:
            yield easter(year) + dt.timedelta(days=spec["easter"])
        elif "nth" in spec:
            yield from nth_weekday(spec["nth"], clock.WEEKDAYS.index(spec["weekday"]), spec["month"], year)
        else:
            days = [dt.date.fromisoformat(day) for day in spec["dates"]]
            yield from (day for day in days if day.year == year)

    def next(self, zone: clock.Zone, moment: int, time: int) -> int | None:
        """The first instant at or after one at which it comes at a local time."""
        first = zone.day(moment)
        for year in range(first.year, first.year + FAR_AHEAD):
            for day in sorted(self.of_year(year)):
                if day >= first and (result := zone.instant_of(day, time)) >= moment:
                    return result
        return None


def fixed(text: str, year: int) -> dt.date:
    """A day of every year; 29 February is the 28th in other years."""
    month, day = (int(part) for part in text.split("-"))
    last = clock.last_of_month(dt.date(year, month, 1)).day
    return dt.date(year, month, min(day, last))


def nth_weekday(nth: int, weekday: int, month: int, year: int) -> list[dt.date]:
    """The nth such weekday of a month, counted from its end where negative; none where the month has no such one."""
    first = dt.date(year, month, 1)
    days = [first + dt.timedelta(days=ahead) for ahead in range(clock.last_of_month(first).day)]
    those = [day for day in days if day.weekday() == weekday]
    place = nth - 1 if nth > 0 else len(those) + nth
    return those[place : place + 1] if 0 <= place < len(those) else []


def easter(year: int) -> dt.date:
    """Easter Sunday: the Sunday after the first full moon of the church's calendar from 21 March on."""
    century = year // 100
    age = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    if age == 29 or (age == 28 and year % 19 > 10):
        age -= 1
    full_moon = dt.date(year, 3, 21) + dt.timedelta(days=age)
    return full_moon + dt.timedelta(days=7 - (full_moon.weekday() + 1) % 7)


class Calendar:
    """The business time of an owner."""

    def __init__(self, spec: dict[str, Any], moments: dict[str, Moment]) -> None:
        self.zone = clock.zone(spec["zone"])
        self.weekdays = frozenset(spec["weekdays"])
        self.start, self.end = clock.time_of_day(spec["from"]), clock.time_of_day(spec["to"])
        self.closed = [str(name) for name in spec.get("closed", ())]
        self.moments = moments

    def is_open(self, day: dt.date) -> bool:
        """Whether it opens on a day."""
        if clock.WEEKDAYS[day.weekday()] not in self.weekdays:
            return False
        named = {day.isoformat(), day.strftime("%m-%d")}
        return not any(
            self.moments[name].has(day) if name in self.moments else name in named for name in self.closed
        )

    def after(self, moment: int, span: str) -> int:
        """The instant by which so much business time has passed; a day of it is the hours of one open day."""
        left = 0
        for part in span.split():
            days = seconds(part) // DAY if part.endswith("d") else 0
            left += days * (self.end - self.start) if days else seconds(part)
        day = self.zone.day(moment) - dt.timedelta(days=1)
        while True:
            if self.is_open(day):
                since, until = (self.zone.instant_of(day, time) for time in (self.start, self.end))
                begin = max(since, moment)
                if begin < until and left <= until - begin:
                    return begin + left
                left -= max(until - begin, 0)
            day += dt.timedelta(days=1)
