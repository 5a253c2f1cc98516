"""Moments as triggers and waits: the instants of a named day in a person's zone."""

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from nurture.domain.conditions import Truth
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure, OnMoment, WaitUntilMoment
from nurture.domain.moments import YEARS_AHEAD, MomentRule, comes_after, days_of
from nurture.domain.timing import at_local_time, to_local

#: A wait for a day that does not come within so many years ends its run.
_WAIT_YEARS = 30


class MomentInstant(NamedTuple):
    """One day of a moment, and when it is reached in the person's zone."""

    at: Instant
    day: date


def next_moment_alarm(work: Work, measure: Measure, trigger: OnMoment, at: Instant) -> Instant:
    """Return when the moment is reached next while the audience may be yes; only two years ahead are looked at."""
    rule = work.playbook.moments.get(trigger.moment)
    if rule is None:
        return FOREVER
    after, reading = at, work.reading(at)
    if measure.audience.truth(reading) is not Truth.YES:
        change = measure.audience.next_change(reading)
        if change is None:
            return FOREVER
        after = max(after, change - 1)
    reached = next_moment(work, trigger, after)
    if reached is not None:
        return reached.at
    last = to_local(after, work.zone).year + YEARS_AHEAD
    # The years behind those are looked at when they are near.
    return at_local_time(date(last, 1, 1), 0, work.zone) if comes_after(rule, last) else FOREVER


def moment_wait_end(work: Work, step: WaitUntilMoment, since: Instant) -> Instant | None:
    """Return when the moment is reached at or after an instant; None when it does not come again."""
    rule = work.playbook.moments.get(step.moment)
    reached = (
        None if rule is None else _first_after(rule, step.minute_of_day, work.zone, since - 1, _WAIT_YEARS)
    )
    return None if reached is None else reached.at


def next_moment(work: Work, trigger: OnMoment, after: Instant) -> MomentInstant | None:
    """Return the next day of the trigger's moment after an instant; None for none within two years."""
    rule = work.playbook.moments.get(trigger.moment)
    return None if rule is None else _first_after(rule, trigger.minute_of_day, work.zone, after, YEARS_AHEAD)


def _first_after(
    rule: MomentRule, minute_of_day: int, zone: str, after: Instant, years: int
) -> MomentInstant | None:
    year = to_local(after, zone).year
    for ahead in range(years + 1):
        for reached in _instants(rule, minute_of_day, zone, year + ahead):
            if reached.at > after:
                return reached
    return None


@lru_cache(maxsize=8_192)
def _instants(rule: MomentRule, minute_of_day: int, zone: str, year: int) -> tuple[MomentInstant, ...]:
    return tuple(MomentInstant(at_local_time(day, minute_of_day, zone), day) for day in days_of(rule, year))
