"""The one place where values that others write (events, traits, files) are bounded and typed.

Length, digits, exponent and year are checked before a value is converted, so each reading takes microseconds
whatever was written. A value of a wrong type or beyond a bound is no value (unknown); reading never raises.
Addresses, phone numbers and ids have the same kind of bounds in `domain.identity`.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from nurture.domain.instant import EARLIEST, LATEST, SECOND, Instant, parse_iso

#: Integers that JSON readers, SQLite and PostgreSQL all keep exactly.
INTEGER_MAX: Final = 2**53
TEXT_MAX: Final = 500
#: Longest text of a number, a date or an instant.
SCALAR_TEXT_MAX: Final = 64
#: Characters of the key of a thing: an order, a product, a case.
KEY_MAX: Final = 200
#: Beyond every float, and far below the longest number that Python writes as text.
_KEY_BOUND: Final = 10**400
#: A number other than 0 has its first digit at most this many places from the decimal point.
_PLACES_MAX: Final = 30
#: Years of dates that rules may use.
YEARS: Final = range(1900, 2201)
#: `--MM-DD` is the standard form of a day without a year.
_DATE = re.compile(r"(?:([0-9]{4})-|--)?([0-9]{2})-([0-9]{2})(?:T.*)?")
#: 29 February of no certain year exists.
_LEAP_YEAR: Final = 2000
#: So many digits every database keeps as an id (2**63 has 19).
_ROW_ID_DIGITS: Final = 18
#: A number this large is an epoch in milliseconds, not in seconds (the year 5138).
_EPOCH_MILLISECONDS: Final = 10**11


def coerce(value: Any, kind: str, *, scale: int = 2) -> Any:
    """Return `value` as its stored form for the fact type `kind`, or None when it is of another type.

    decimal: whole number of 10**-scale. instant: microseconds, from RFC 3339 text or epoch seconds or
    milliseconds, in the years 1900 to 2200. date: `MM-DD` or `YYYY-MM-DD`, in the same years.
    """
    if value is None:
        return None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "integer":
        return _integer(value)
    if kind == "decimal":
        return _decimal(value, scale)
    if kind == "instant":
        return read_clock(value)
    if kind == "date":
        return _date(value)
    if kind == "text":
        return value[:TEXT_MAX] if isinstance(value, str) and value else None
    return None


def coerced(values: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `values` that `terms` (name -> Term) declares, in their stored form; wrong ones left out."""
    read: dict[str, Any] = {}
    for name, term in terms.items():
        if name in values:
            value = coerce(values[name], term.type, scale=term.scale)
            if value is not None:
                read[name] = value
    return read


# ---- numbers ---------------------------------------------------------------------------------------------


def read_decimal(value: Any) -> Decimal | None:
    """Return the finite number that a number or a text stands for, None for anything else or beyond the bounds.

    Bounds: SCALAR_TEXT_MAX characters, and 30 places before or after the decimal point.
    """
    if isinstance(value, str):
        return _read_decimal_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return None
    return _bounded(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))


def _read_decimal_text(text: str) -> Decimal | None:
    text = _short(text)
    if not text or "_" in text:
        return None
    try:
        return _bounded(Decimal(text))
    except (InvalidOperation, ValueError):
        return None


def _bounded(number: Decimal) -> Decimal | None:
    if not number.is_finite():
        return None
    if not number:
        return Decimal(0)
    return number if abs(number.adjusted()) <= _PLACES_MAX else None


def _short(text: str) -> str:
    """Return the text without space around it; "" for one too long for a number or a date."""
    if len(text) > SCALAR_TEXT_MAX:
        text = text.strip()
    return text.strip() if len(text) <= SCALAR_TEXT_MAX else ""


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = _short(value)
        try:
            value = int(text) if text and "_" not in text else None
        except ValueError:
            return None
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        value = int(value)
    return value if isinstance(value, int) and abs(value) <= INTEGER_MAX else None


def _decimal(value: Any, scale: int) -> int | None:
    # Texts and floats repeat, and converting them takes longest.
    if isinstance(value, str):
        value = _short(value)
    is_kept = isinstance(value, str | float)
    return _scaled(value, scale) if is_kept else _scaled.__wrapped__(value, scale)


@lru_cache(maxsize=4096, typed=True)
def _scaled(value: Any, scale: int) -> int | None:
    number = read_decimal(value)
    if number is None:
        return None
    whole = int(number.scaleb(scale).to_integral_value(rounding=ROUND_HALF_EVEN))
    return whole if abs(whole) <= INTEGER_MAX else None


# ---- dates and instants ----------------------------------------------------------------------------------


def read_time(value: Any) -> Instant | None:
    """Return the instant of ISO 8601 text, or of seconds or milliseconds since 1970; None for anything else.

    An instant before 1900 or after 2200 is returned as the first or the last instant that rules may use.
    """
    if isinstance(value, str):
        text = _short(value)
        try:
            instant = parse_iso(text) if text else None
        except (ValueError, OverflowError):
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    elif abs(value) < _EPOCH_MILLISECONDS:
        instant = round(value * SECOND)
    elif abs(value) < _EPOCH_MILLISECONDS * 1_000:
        instant = round(value * (SECOND // 1_000))
    elif value > 0:
        instant = LATEST + 1
    else:
        # NaN is no number.
        instant = EARLIEST - 1 if value < 0 else None
    return None if instant is None else min(max(instant, EARLIEST - 1), LATEST + 1)


def read_clock(value: Any) -> Instant | None:
    """Return the instant of a clock's reading (as `read_time`); None for a time that no clock shows."""
    instant = read_time(value)
    return instant if instant is not None and is_usable(instant) else None


def is_usable(instant: Instant) -> bool:
    """Tell whether rules may use the instant: it lies in the years 1900 to 2200."""
    return EARLIEST <= instant <= LATEST


def _date(value: Any) -> str | None:
    match = _DATE.fullmatch(_short(value)) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day = int(match[1] or _LEAP_YEAR), int(match[2]), int(match[3])
    if year not in YEARS or not _is_day(_LEAP_YEAR, month, day):
        return None
    # A birthday on 29 February with a year that has none: the year is wrong, the day is not.
    has_year = bool(match[1]) and _is_day(year, month, day)
    return f"{match[1]}-{match[2]}-{match[3]}" if has_year else f"{match[2]}-{match[3]}"


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


# ---- keys of things --------------------------------------------------------------------------------------


def key_text(value: Any) -> str | None:
    """Return the key that a value names a thing by, whoever writes it; None for what can be no key.

    A text without the space around it, or a whole number: `1001`, `" 1001"` and the 1001.0 of a spreadsheet are one.
    """
    if isinstance(value, str):
        return value.strip()[:KEY_MAX] or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    is_whole = isinstance(value, int) or value.is_integer()
    return str(int(value)) if is_whole and abs(value) < _KEY_BOUND else None


# ---- row ids ---------------------------------------------------------------------------------------------


def read_row_id(text: str) -> int | None:
    """Return the number that a URL or a command names a row by; None for what no database has as an id."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _ROW_ID_DIGITS else None
