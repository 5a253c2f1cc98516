"""Moments: days of the calendar that a playbook names, such as a holiday or a fair."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

#: How many years after the present one are looked at for the next day of a moment.
YEARS_AHEAD = 2
_DECEMBER = 12
_WEEK = 7


@dataclass(frozen=True, slots=True)
class FixedDay:
    """The same day every year; 29 February falls on the 28th in other years."""

    month: int
    day: int


@dataclass(frozen=True, slots=True)
class EasterDay:
    """So many days after Easter Sunday (of the Gregorian calendar); negative: before it."""

    days: int


@dataclass(frozen=True, slots=True)
class WeekdayOfMonth:
    """The nth such weekday of a month, -1 for the last one; a year may have none."""

    nth: int
    # 0 = Monday.
    weekday: int
    month: int


@dataclass(frozen=True, slots=True)
class ListedDays:
    """Days that are listed one by one, ascending."""

    days: tuple[date, ...]


MomentRule = FixedDay | EasterDay | WeekdayOfMonth | ListedDays


@lru_cache(maxsize=4_096)
def days_of(rule: MomentRule, year: int) -> tuple[date, ...]:
    """Return the days of the moment in a year, ascending."""
    return tuple(sorted(_days(rule, year)))


def comes_after(rule: MomentRule, year: int) -> bool:
    """Tell whether the moment may come in some year after this one."""
    return not isinstance(rule, ListedDays) or any(day.year > year for day in rule.days)


def _days(rule: MomentRule, year: int) -> Iterator[date]:
    match rule:
        case FixedDay(month=month, day=day):
            yield _date_or_eve(year, month, day)
        case EasterDay(days=days):
            # Easter moves by weeks, and a day far from it may fall in the year before or after.
            around = (_easter(near) + timedelta(days) for near in (year - 1, year, year + 1))
            yield from (day for day in around if day.year == year)
        case WeekdayOfMonth():
            yield from _weekday_of_month(rule, year)
        case ListedDays(days=listed):
            yield from (day for day in listed if day.year == year)


def _date_or_eve(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 1)


def _weekday_of_month(rule: WeekdayOfMonth, year: int) -> Iterator[date]:
    first = date(year, rule.month, 1)
    following = date(year + rule.month // _DECEMBER, rule.month % _DECEMBER + 1, 1)
    if rule.nth < 0:
        last = following - timedelta(days=1)
        yield last - timedelta(days=(last.weekday() - rule.weekday) % _WEEK)
        return
    day = first + timedelta(days=(rule.weekday - first.weekday()) % _WEEK + _WEEK * (rule.nth - 1))
    if day < following:
        yield day


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, by the method of Meeus, Jones and Butcher."""
    golden = year % 19
    century, rest = divmod(year, 100)
    skipped = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - skipped + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % _WEEK
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)
