"""Instants and durations as whole microseconds, the one representation of time inside the engine.

An `Instant` is microseconds since 1970-01-01T00:00:00 UTC, a `Duration` is microseconds. Both are plain
`int`, so they go into JSON, SQLite and PostgreSQL unchanged and compare the same way everywhere. Aware
datetimes exist only at the edges (HTTP, files, screens, calendars) and are converted here.
"""

import re
from datetime import UTC, datetime, timedelta

Instant = int
Duration = int

SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR
WEEK: Duration = 7 * DAY

#: An instant before everything: the `last` of what never happened.
NEVER: Instant = -(2**62)
#: An instant after everything, as far as both databases can store it.
FOREVER: Instant = 2**62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_OF_1900 = datetime(1900, 1, 1, tzinfo=UTC) - _EPOCH
_EPOCH_OF_2201 = datetime(2201, 1, 1, tzinfo=UTC) - _EPOCH
#: Dates that rules may use lie in the years 1900 to 2200 (UTC). Programs write others where a date is missing
#: (`0001-01-01`, `9999-12-31`); arithmetic with these leaves what a calendar can hold.
EARLIEST: Instant = _EPOCH_OF_1900.days * DAY
LATEST: Instant = _EPOCH_OF_2201.days * DAY - 1
#: The longest duration that can be written, so that a date plus a duration is always a date.
_DURATION_MAX: Duration = 36_525 * DAY
_UNITS: dict[str, Duration] = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_DURATION_DIGITS = 12


def from_datetime(value: datetime) -> Instant:
    """Return the instant of an aware datetime. Raises ValueError for a naive one."""
    if value.tzinfo is None:
        message = f"datetime without time zone: {value!r}; add one, for example +00:00"
        raise ValueError(message)
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def to_datetime(value: Instant) -> datetime:
    """Return the aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=value)


def to_iso(value: Instant) -> str:
    """Return RFC 3339 text in UTC, with microseconds only where there are some."""
    return to_datetime(value).isoformat().replace("+00:00", "Z")


def parse_iso(text: str) -> Instant:
    """Read RFC 3339 / ISO 8601 text; text without an offset is taken as UTC.

    Raises ValueError with the text when it is not a date.
    """
    value = datetime.fromisoformat(text.strip())
    return from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))


def has_zone(text: str) -> bool:
    """Tell whether text that `parse_iso` reads names its time zone."""
    return datetime.fromisoformat(text.strip()).tzinfo is not None


def parse_duration(text: str) -> Duration:
    """Read a duration such as `90s`, `2h`, `30d` or `1d 12h`; a leading minus makes it negative.

    Raises ValueError that names the forms allowed.
    """
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body.lstrip("+-").strip()
    parts = _DURATION.findall(body)
    if not parts or _DURATION.sub("", body).strip():
        message = f"{text!r} is not a duration; write for example 90s, 15m, 2h, 30d or 1w"
        raise ValueError(message)
    if any(len(number) > _DURATION_DIGITS for number, _ in parts):
        raise ValueError(_too_long(text))
    duration = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if duration > _DURATION_MAX:
        raise ValueError(_too_long(text))
    return sign * duration


def _too_long(text: str) -> str:
    return f"{text[:40]!r} is longer than 100 years; write at most 36525d"


def format_duration(value: Duration) -> str:
    """Return a duration in the form `parse_duration` reads, largest units first."""
    sign, rest = ("-" if value < 0 else ""), abs(value)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return sign + (" ".join(parts) or "0s")
