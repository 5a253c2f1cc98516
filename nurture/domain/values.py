"""Turning what clients send into values of a declared type; a wrong type is no value (unknown)."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from nurture.domain.instant import SECOND, parse_iso

#: Integers that JSON readers, SQLite and PostgreSQL all keep exactly.
_LARGEST = 2**53
_TEXT_MAX = 500
_DATE = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})(?:T.*)?")
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: A number this large is an epoch in milliseconds, not in seconds (the year 5138).
_EPOCH_MILLISECONDS = 10**11


def coerce(value: Any, kind: str, *, scale: int = 2) -> Any:
    """Return `value` as its stored form for the fact type `kind`, or None when it is of another type.

    decimal: whole number of 10**-scale. instant: microseconds, from RFC 3339 text or epoch seconds or
    milliseconds. date: `MM-DD` or `YYYY-MM-DD`.
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
        return _instant(value)
    if kind == "date":
        return _date(value)
    if kind == "text":
        return value[:_TEXT_MAX] if isinstance(value, str) and value else None
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and abs(value) <= _LARGEST else None


def _decimal(value: Any, scale: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    return _scaled(value, scale)


@lru_cache(maxsize=4096, typed=True)
def _scaled(value: float | str | Decimal, scale: int) -> int | None:
    try:
        scaled = Decimal(str(value)).scaleb(scale)
        whole = int(scaled.to_integral_value(rounding=ROUND_HALF_EVEN))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return whole if abs(whole) <= _LARGEST else None


def _instant(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        seconds = value / 1000 if abs(value) >= _EPOCH_MILLISECONDS else value
        whole = round(seconds * SECOND) if abs(seconds) < _EPOCH_MILLISECONDS else None
        return whole if whole is not None and abs(whole) <= _LARGEST else None
    if isinstance(value, str):
        try:
            return parse_iso(value)
        except (ValueError, OverflowError):
            return None
    return None


def _date(value: Any) -> str | None:
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    month, day = int(match[2]), int(match[3])
    if not 1 <= month <= len(_MONTH_DAYS) or not 1 <= day <= _MONTH_DAYS[month - 1]:
        return None
    return f"{match[1]}-{match[2]}-{match[3]}" if match[1] else f"{match[2]}-{match[3]}"


def coerced(values: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `values` that `terms` (name -> Term) declares, in their stored form; wrong ones left out."""
    read: dict[str, Any] = {}
    for name, term in terms.items():
        if name in values:
            value = coerce(values[name], term.type, scale=term.scale)
            if value is not None:
                read[name] = value
    return read
