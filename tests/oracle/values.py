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
TRUSTED = frozenset({"server", "shop"})


def seconds(text: str) -> int:
    """Return the seconds of a duration or an offset such as `1d 12h` or `-7d`."""
    sign = -1 if text.strip().startswith("-") else 1
    return sign * sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)\s*([smhdw])", text))


def instant(text: Any) -> int | None:
    """Return the instant of an ISO text; unknown where it is none or outside the years 1900 to 2200."""
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


def iso(moment: int) -> str:
    """Write an instant."""
    return (EPOCH + dt.timedelta(seconds=moment)).strftime("%Y-%m-%dT%H:%M:%SZ")


def date(text: Any) -> str | None:
    """Return a `YYYY-MM-DD` or `MM-DD` that exists, else unknown."""
    if not isinstance(text, str) or len(text) > 64:
        return UNKNOWN
    text = text.strip()
    if re.fullmatch(r"\d\d-\d\d", text):
        whole = "2000-" + text
    elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        whole = text
    else:
        return UNKNOWN
    try:
        day = dt.date.fromisoformat(whole)
    except ValueError:
        return UNKNOWN
    return text if 1900 <= day.year <= 2200 else UNKNOWN


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


def typed(value: Any, kind: str, scale: int = 2) -> Any:
    """Read a value as a type of the playbook; what does not fit is unknown."""
    if value is None:
        return UNKNOWN
    if kind == "text":
        return text_of(value)
    if kind == "bool":
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if kind == "instant":
        return instant(value)
    if kind == "date":
        return date(value)
    result = number(value)
    if result is None:
        return UNKNOWN
    if kind == "integer":
        return int(result) if result == int(result) else UNKNOWN
    return result.quantize(decimal.Decimal(1).scaleb(-scale), rounding=decimal.ROUND_HALF_EVEN)


def text_of(value: Any) -> str | None:
    """Read a value as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else UNKNOWN


def key_of(value: Any) -> str | None:
    """Read the value of a key property: a text that is not empty, or a whole number."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else UNKNOWN
    return UNKNOWN if isinstance(value, bool) else text_of(value) or UNKNOWN


def as_list(value: Any) -> list[Any]:
    """Read one thing or a list of them."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
