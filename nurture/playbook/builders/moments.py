"""Build the moments of `playbook.yaml`."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Final

from lunardate import LunarDate

from nurture.domain.measure import WEEKDAYS
from nurture.domain.moments import EasterDay, FixedDay, ListedDays, MomentRule, WeekdayOfMonth
from nurture.playbook.schema import moments as schema

#: The years of which the lunar calendar is known here.
_LUNAR_YEARS: Final = range(2020, 2100)
_LAST_DAY: Final = 30


def build_moments(models: Mapping[str, schema.AnyMoment]) -> dict[str, MomentRule]:
    """Return the moments by name."""
    return {name: _build_moment(model) for name, model in models.items()}


def _build_moment(model: schema.AnyMoment) -> MomentRule:
    match model:
        case schema.FixedMoment(fixed=day):
            return FixedDay(int(day[:2]), int(day[3:]))
        case schema.EasterMoment(easter=days):
            return EasterDay(days)
        case schema.WeekdayMoment(nth=nth, weekday=weekday, month=month):
            return WeekdayOfMonth(nth, WEEKDAYS.index(weekday), month)
        case schema.LunarMoment(lunar=(month, day)):
            return ListedDays(_lunar_days(month, day))
        case schema.ListedMoment(dates=days):
            return ListedDays(tuple(sorted({date.fromisoformat(day) for day in days})))


@lru_cache(maxsize=64)
def _lunar_days(month: int, day: int) -> tuple[date, ...]:
    """Return the lunar day of every year that is known, in months that are no leap month."""
    return tuple(sorted(_lunar_day(year, month, day) for year in _LUNAR_YEARS))


def _lunar_day(year: int, month: int, day: int) -> date:
    try:
        found: date = LunarDate(year, month, day).to_solar_date()
    except ValueError:
        if day < _LAST_DAY:
            raise
        # The month has 29 days.
        found = LunarDate(year, month, day - 1).to_solar_date()
    return found
