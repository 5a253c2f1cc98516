"""Local time: slots, quiet hours, days and months in a contact's time zone.

Every conversion uses the offset in force at the target instant. A wall time in a spring gap becomes the first
instant after the gap; one that occurs twice in autumn becomes its first occurrence. Zones come from the pinned
`tzdata` package, never from the host, so every worker computes the same instant.
"""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from nurture.domain.instant import FOREVER, MINUTE, NEVER, SECOND, Instant, from_datetime, to_datetime
from nurture.domain.measure import LocalSlot
from nurture.domain.playbook import QuietHours

# Without a search path zoneinfo reads the pinned tzdata package, not zone files of the host of unknown age.
zoneinfo.reset_tzpath(to=())

_DAY_MINUTES = 24 * 60
#: A slot on a weekday and a day of month recurs within this many days (28 years hold every combination).
_SEARCH_DAYS = 800


@lru_cache(maxsize=1024)
def load_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone of that IANA name. Raises ValueError when there is none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{name!r} is not a time zone; write an IANA name such as Europe/Berlin"
        raise ValueError(message) from error


@lru_cache(maxsize=4096)
def is_zone(name: str) -> bool:
    """Tell whether the name is an IANA zone."""
    try:
        load_zone(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def list_zones() -> tuple[str, ...]:
    """Return the zones that a person may choose, sorted: places and UTC, no outdated aliases."""
    areas = {
        "Africa",
        "America",
        "Antarctica",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    }
    places = (name for name in zoneinfo.available_timezones() if name.partition("/")[0] in areas)
    return (*sorted(name for name in places if "/" in name), "UTC")


def to_local(at: Instant, zone: str) -> datetime:
    """Return the aware local datetime of an instant."""
    return to_datetime(at).astimezone(load_zone(zone))


def at_local_time(day: date, minute_of_day: int, zone: str) -> Instant:
    """Return the instant of a local wall time. minute_of_day: 0 to 1439."""
    info = load_zone(zone)
    wall = datetime(day.year, day.month, day.day, minute_of_day // 60, minute_of_day % 60, tzinfo=info)
    instant = wall.astimezone(UTC)
    if instant.astimezone(info).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return from_datetime(instant)
    return _end_of_gap(wall, info)


def _both_passes(day: date, minute_of_day: int, zone: str) -> tuple[Instant, Instant]:
    """Return a local wall time's instant, and the second one in the hour that autumn repeats (else the same)."""
    first = at_local_time(day, minute_of_day, zone)
    wall = to_local(first, zone)
    second = from_datetime(wall.replace(fold=1).astimezone(UTC))
    return first, max(first, second)


def _end_of_gap(wall: datetime, info: zoneinfo.ZoneInfo) -> Instant:
    """Return the first instant after the clock change that skips `wall`, by bisection to the second."""
    early = from_datetime(wall.replace(fold=1).astimezone(UTC))
    late = from_datetime(wall.replace(fold=0).astimezone(UTC))
    before = to_datetime(early).astimezone(info).utcoffset()
    while late - early > SECOND:
        middle = early + (late - early) // (2 * SECOND) * SECOND
        if to_datetime(middle).astimezone(info).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def _last_day(day: date) -> int:
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


def _allows(slot: LocalSlot, day: date) -> bool:
    if day.weekday() not in slot.weekdays:
        return False
    return slot.month_day is None or day.day == min(slot.month_day, _last_day(day))


def next_slot(slot: LocalSlot, *, after: Instant, zone: str) -> Instant:
    """Return the first instant at or after `after` that lies in the slot, in the contact's zone.

    A slot without a time of day lasts all day: the result is `after` itself on an allowed day, else the midnight
    that begins the next allowed day. Raises ValueError for a slot that never occurs.
    """
    if slot.minute_of_day is None:
        return _find_slot(slot, after=after, zone=zone)
    latest = _latest_search(slot, zone)
    since, instant = latest[0]
    if not since <= after <= instant:
        # Between the start of a search and its result nothing else can be found.
        instant = _find_slot(slot, after=after, zone=zone)
        latest[0] = after, instant
    return instant


@lru_cache(maxsize=4_096)
def _latest_search(slot: LocalSlot, zone: str) -> list[tuple[Instant, Instant]]:  # noqa: ARG001 - the cache's key
    """Return a list of one, to be replaced: the start and the result of the latest search for the slot in the zone."""
    return [(FOREVER, NEVER)]


def _find_slot(slot: LocalSlot, *, after: Instant, zone: str) -> Instant:
    start = to_local(after, zone).date()
    if slot.minute_of_day is None and _allows(slot, start):
        return after
    for ahead in range(_SEARCH_DAYS):
        day = start + timedelta(days=ahead)
        if not _allows(slot, day):
            continue
        instant = at_local_time(day, slot.minute_of_day or 0, zone)
        if instant >= after:
            return instant
    message = f"the slot {slot} never comes; allow a weekday and a day of the month that meet"
    raise ValueError(message)


def is_quiet(quiet: QuietHours, *, at: Instant, zone: str) -> bool:
    """Tell whether `at` lies in the quiet hours, which may span midnight."""
    wall = to_local(at, zone)
    minute = wall.hour * 60 + wall.minute
    if quiet.start <= quiet.end:
        return quiet.start <= minute < quiet.end
    return minute >= quiet.start or minute < quiet.end


def next_outside_quiet_hours(quiet: QuietHours, *, at: Instant, zone: str) -> Instant:
    """Return `at` when it lies outside the quiet hours, else the end of these quiet hours."""
    if not is_quiet(quiet, at=at, zone=zone):
        return at
    today, minute = to_local(at, zone).date(), quiet.end % _DAY_MINUTES
    ends = (
        end
        for day in (today, today + timedelta(days=1))
        for end in _both_passes(day, minute, zone)
        if end >= at and not is_quiet(quiet, at=end, zone=zone)
    )
    return min(ends, default=at)


def start_of_day(at: Instant, zone: str, *, days: int = 0) -> Instant:
    """Return the first instant of the local day that is `days` after the day of `at`."""
    return at_local_time(to_local(at, zone).date() + timedelta(days=days), 0, zone)


def end_of_day(at: Instant, zone: str) -> Instant:
    """Return the last minute of the local day of `at`."""
    return start_of_day(at, zone, days=1) - MINUTE


def start_of_next_month(at: Instant, zone: str) -> Instant:
    """Return the first instant of the local month after the month of `at`."""
    day = to_local(at, zone).date()
    return at_local_time(date(day.year + day.month // 12, day.month % 12 + 1, 1), 0, zone)


def end_of_month(at: Instant, zone: str) -> Instant:
    """Return the last minute of the local month of `at`."""
    return start_of_next_month(at, zone) - MINUTE


def at_time_of_local_day(at: Instant, minute_of_day: int | None, zone: str) -> Instant:
    """Return this time of day on the local day of `at`; `at` itself for None."""
    return at if minute_of_day is None else at_local_time(to_local(at, zone).date(), minute_of_day, zone)


def date_in_year(month: int, day: int, *, year: int) -> date:
    """Return the date of a yearly day in that year; 29 February becomes 28 February outside leap years."""
    if (month, day) == (2, 29) and _last_day(date(year, 2, 1)) == 28:
        return date(year, 2, 28)
    return date(year, month, day)
