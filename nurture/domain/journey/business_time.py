"""Business time: instants so much open time of a calendar ahead, and the times that mails promise."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from nurture.domain.instant import DAY, Duration, Instant
from nurture.domain.measure import LetBusiness, Measure
from nurture.domain.owners import BusinessCalendar, Owner, find_owner
from nurture.domain.timing import at_local_time, to_local
from nurture.domain.values import coerce

#: A calendar that opens on none of so many days never opens.
_SEARCH_DAYS = 36_525


def add_business_time(start: Instant, days: int, rest: Duration, calendar: BusinessCalendar) -> Instant:
    """Return the instant at which so much open time has passed since `start`; time outside the hours does not count.

    days: each as long as one opening. rest: open time besides. An end that falls on a closing time is that closing
    time, not the next morning. Raises ValueError for a calendar that never opens.
    """
    left = days * calendar.day_length + rest
    for begin, end in _openings(calendar, start):
        if end - begin >= left:
            return begin + left
        left -= end - begin
    message = f"calendar {calendar.name} never opens; give it a weekday that is not always closed"
    raise ValueError(message)


def _openings(calendar: BusinessCalendar, start: Instant) -> Iterator[tuple[Instant, Instant]]:
    """Yield (begin, end) of each opening that is not over at `start`; the first one begins there at the earliest."""
    first = to_local(start, calendar.zone).date()
    for ahead in range(_SEARCH_DAYS):
        day = first + timedelta(days=ahead)
        if calendar.is_open_on(day):
            begin = at_local_time(day, calendar.opens, calendar.zone)
            end = at_local_time(day, calendar.closes, calendar.zone)
            if end > start:
                yield max(begin, start), end


def promised_instant(
    rule: LetBusiness,
    measure: Measure,
    owners: Mapping[str, Owner],
    names: Mapping[str, Any],
    *,
    now: Instant,
) -> Instant | None:
    """Return the instant that a mail leaving at `now` promises; None when no owner with a calendar is named.

    names: the values of templates (`domain.facts.view`). An instant that the event or the entity gives itself
    (`rule.given`) is kept while it is still ahead.
    """
    root, _, field = rule.given.partition(".")
    given = coerce((names.get(root) or {}).get(field), "instant") if field else None
    if isinstance(given, int) and given > now:
        return given
    owner = find_owner(owners, rule.owner or measure.sender, names)
    if owner is None or owner.calendar is None:
        return None
    return add_business_time(now, rule.days, rule.rest, owner.calendar)


def due_in_hours_of(owner: Owner | None, due: Duration | tuple[int, Duration], *, now: Instant) -> Instant:
    """Return until when an owner is to have done something: after a plain duration, or in their business hours.

    due: a duration, or (days, time besides) of the owner's hours. An owner without a calendar works at any hour.
    """
    if not isinstance(due, tuple):
        return now + due
    if owner is None or owner.calendar is None:
        return now + due[0] * DAY + due[1]
    return add_business_time(now, *due, owner.calendar)
