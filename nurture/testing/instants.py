"""Times as timelines write them: `day 4 09:30`, `2026-06-04 09:30`, `+2d`, and days alone."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nurture.domain.instant import Duration, Instant, from_datetime, parse_duration, parse_iso, to_datetime

#: The form of a time, for messages.
FORMS = '`day 4 09:30`, `day 4`, "2026-06-04 09:30", "2026-06-04", `+2d` or, for the past, `-40d`'
_DAY = re.compile(r"day (\d{1,4})(?: ([01]\d|2[0-3]):([0-5]\d))?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T]([01]\d|2[0-3]):([0-5]\d))?")
_UNITS = {"week": "w", "day": "d", "hour": "h", "minute": "m", "second": "s"}
_SPAN = re.compile(r"(\d+)\s*(week|day|hour|minute|second)s?\b")


@dataclass(frozen=True, slots=True)
class TimeOfPerson:
    """A time as a file has it: a day of the timeline or of the calendar, or a duration after the time before."""

    # From 1: the day on which the timeline starts.
    day: int | None = None
    calendar_day: date | None = None
    # Minutes after local midnight; None: the whole day.
    minute: int | None = None
    after: Duration | None = None

    @property
    def is_whole_day(self) -> bool:
        """True where no time of the day is named."""
        return self.after is None and self.minute is None

    def instant(self, *, start: Instant, before: Instant, zone: str) -> Instant:
        """Return the instant. start, before: of the timeline, and of the time that `after` counts from."""
        if self.after is not None:
            return before + self.after
        return _local_instant(self._date(start, zone), self.minute or 0, zone)

    def end_of_day(self, *, start: Instant, zone: str) -> Instant:
        """Return the local midnight that ends the day."""
        return _local_instant(self._date(start, zone) + timedelta(days=1), 0, zone)

    def _date(self, start: Instant, zone: str) -> date:
        if self.calendar_day is not None:
            return self.calendar_day
        first = to_datetime(start).astimezone(ZoneInfo(zone)).date()
        return first + timedelta(days=(self.day or 1) - 1)


def parse_time(text: str) -> TimeOfPerson:
    """Return the time of a text. Raises ValueError that names the forms."""
    text = text.strip()
    if text.startswith(("+", "-")):
        span = parse_span(text[1:])
        return TimeOfPerson(after=-span if text.startswith("-") else span)
    if (match := _DAY.fullmatch(text)) is not None and int(match[1]):
        return TimeOfPerson(day=int(match[1]), minute=_minute(match[2], match[3]))
    if (match := _DATE.fullmatch(text)) is not None:
        return TimeOfPerson(calendar_day=date.fromisoformat(match[1]), minute=_minute(match[2], match[3]))
    raise ValueError(f"{text!r} is not a time; write {FORMS}")


def _minute(hours: str | None, minutes: str | None) -> int | None:
    return None if hours is None or minutes is None else int(hours) * 60 + int(minutes)


def parse_span(text: str) -> Duration:
    """Return a duration written as `7d`, `7 days` or `1 day 12 hours`. Raises ValueError."""
    return parse_duration(_SPAN.sub(lambda match: match[1] + _UNITS[match[2]], text))


def local_instant(text: str, zone: str) -> Instant:
    """Return the instant of a local time such as `2026-06-01 10:00`. Raises ValueError."""
    parsed = parse_time(text)
    if parsed.calendar_day is None:
        raise ValueError(f'{text!r} is not a date; write "2026-06-01 10:00"')
    return _local_instant(parsed.calendar_day, parsed.minute or 0, zone)


def _local_instant(day: date, minute: int, zone: str) -> Instant:
    local = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=ZoneInfo(zone))
    return from_datetime(local)


_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


def localize(text: str, *, start: Instant, zone: str) -> str:
    """Return a text with its UTC instants written as `show_time` writes them."""
    return _ISO.sub(lambda match: show_time(parse_iso(match[0]), start=start, zone=zone), text)


def show_time(at: Instant, *, start: Instant, zone: str) -> str:
    """Return an instant as stories write it: `day 4 09:30 (Thu 4 Jun)`."""
    local, first = to_datetime(at).astimezone(ZoneInfo(zone)), to_datetime(start).astimezone(ZoneInfo(zone))
    days = (local.date() - first.date()).days + 1
    return f"day {days} {local:%H:%M} ({local:%a} {local.day} {local:%b})"
