"""Values of options that several commands take."""

import re
from datetime import UTC, date, datetime, time
from typing import Final

from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, Instant, from_datetime, has_zone, parse_iso, to_iso

#: Python reads +05:99 as +06:39.
_WRONG_OFFSET: Final = re.compile(r"[+-]\d\d:?[6-9]\d\s*$")
#: A send for a later time is a slip of the year: nobody knows which programme is published then.
_AHEAD_MAX: Final = 366 * DAY


def read_instant(text: str, *, option: str = "--at") -> Instant:
    """Return the instant of ISO 8601 text. Raises InputError for no date, and for one without a time zone."""
    try:
        instant = parse_iso(text)
    except (ValueError, OverflowError) as error:
        message = f"{option} {text!r} is not a date; write for example 2026-03-01T12:00:00Z"
        raise InputError(message) from error
    if _WRONG_OFFSET.search(text):
        raise InputError(f"{option} {text!r}: an offset has at most 59 minutes; write for example +01:00")
    if not has_zone(text):
        message = (
            f"{option} {text!r} names no time zone; end it with Z for UTC, or with an offset such as +01:00: "
            f"{to_iso(instant)}"
        )
        raise InputError(message)
    return instant


def read_future_instant(text: str, *, now: Instant, option: str = "--at") -> Instant:
    """Return an instant of the next year. Raises InputError as `read_instant` does, for the past and for later."""
    instant = read_instant(text, option=option)
    if instant <= now:
        raise InputError(
            f"{option} {text!r} is past: now is {to_iso(now)}; name a later time, or leave it out to begin now"
        )
    if instant > now + _AHEAD_MAX:
        raise InputError(
            f"{option} {text!r} is more than a year ahead: now is {to_iso(now)}; look at its year"
        )
    return instant


def read_day(text: str, *, option: str = "--start") -> Instant:
    """Return the beginning of a day, UTC, of text such as `2026-11-01`. Raises InputError for another text."""
    try:
        return from_datetime(datetime.combine(date.fromisoformat(text.strip()), time(), tzinfo=UTC))
    except ValueError as error:
        raise InputError(f"{option} {text!r} is not a day; write for example 2026-11-01") from error
