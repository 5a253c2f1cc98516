"""How values are written: durations, instants, typed properties, names of events.

Instants are whole seconds since 1970. UNKNOWN is None; NEVER is smaller than every instant.
"""

import datetime as dt
import decimal
import re
from typing import Any

UNKNOWN = None
NEVER = -(10**15)
LARGEST = 2**53
DAY = 86400
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TRUSTED = frozenset({"server", "shop", "measure"})


def seconds(text: str) -> int:
    """Return the seconds of a duration or an offset such as `1d 12h` or `-7d`."""
    sign = -1 if text.strip().startswith("-") else 1
    return sign * sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)\s*([smhdw])", text))


def instant(text: Any) -> int | None:
    """Return the instant of an ISO text or of seconds or milliseconds since 1970, in the years 1900 to 2200."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return moment_of(text)
    if not isinstance(text, str) or len(text) > 64:
        return UNKNOWN
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return UNKNOWN
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    if not 1900 <= moment.year <= 2200:
        return UNKNOWN
    return int((moment - EPOCH).total_seconds())


def moment_of(value: float) -> int | None:
    """The instant of seconds, or from 10^11 on of milliseconds, since 1970."""
    size = abs(value)
    if not size < 10**14:
        return UNKNOWN
    moment = value if size < 10**11 else value / 1000
    return int(moment) if instant_of_year(1900) <= moment < instant_of_year(2201) else UNKNOWN


def instant_of_year(year: int) -> int:
    """The instant at which a year begins."""
    return int((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - EPOCH).total_seconds())


def iso(moment: int) -> str:
    """Write an instant."""
    return (EPOCH + dt.timedelta(seconds=moment)).strftime("%Y-%m-%dT%H:%M:%SZ")


def date(text: Any) -> str | None:
    """Return a `YYYY-MM-DD` or `MM-DD` that exists, else unknown."""
    if not isinstance(text, str) or len(text) > 64:
        return UNKNOWN
    match = re.fullmatch(r"(?:(\d{4})-|--)?(\d\d-\d\d)(?:T.*)?", text.strip())
    if match is None or not is_day("2000-" + match[2]):
        return UNKNOWN
    if match[1] is None:
        return match[2]
    if not 1900 <= int(match[1]) <= 2200:
        return UNKNOWN
    whole = f"{match[1]}-{match[2]}"
    return whole if is_day(whole) else match[2]


def is_day(text: str) -> bool:
    """Whether there is such a day."""
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def number(value: Any) -> decimal.Decimal | None:
    """Return a finite number that is written as one, else unknown."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return UNKNOWN
    text = str(value).strip()
    if len(text) > 64:
        return UNKNOWN
    try:
        result = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return UNKNOWN
    return result if result.is_finite() and abs(result) <= LARGEST else UNKNOWN


def money(value: Any) -> decimal.Decimal | None:
    """Return an amount in hundredths."""
    result: decimal.Decimal | None = typed(value, "decimal")
    return result


def typed(value: Any, kind: str, scale: int = 2) -> Any:
    """Read a value as a type of the playbook; what does not fit is unknown."""
    if value is None:
        return UNKNOWN
    if kind == "text":
        return value[:500] if isinstance(value, str) and value else UNKNOWN
    if kind == "bool":
        return value if isinstance(value, bool) else UNKNOWN
    if kind == "instant":
        return instant(value)
    if kind == "date":
        return date(value)
    if kind == "integer" and isinstance(value, str) and not re.fullmatch(r"[+-]?\d+", value.strip()):
        return UNKNOWN
    result = number(value)
    if result is None or abs(result) > LARGEST:
        return UNKNOWN
    if kind == "integer":
        return int(result) if result == int(result) else UNKNOWN
    result = result.quantize(decimal.Decimal(1).scaleb(-scale), rounding=decimal.ROUND_HALF_EVEN)
    return result if abs(result.scaleb(scale)) <= LARGEST else UNKNOWN


def key_of(value: Any) -> str | None:
    """Read the value of a key property: a text that is not empty, without space around it, or a whole number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return UNKNOWN
    return str(value).strip()[:200] or UNKNOWN


def as_list(value: Any) -> list[Any]:
    """Read one thing or a list of them."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
