"""The filters that speak the contact's language: money, number, percent, date, time, datetime.

Instants are microseconds; ISO text, which event properties hold, is taken too. A date without a time
(`2026-07-06`, `07-06`) has no zone and is not moved. Everything is shown in the zone and locale of the mail.
"""

import re
from datetime import date as Date  # noqa: N812 - `date` is the filter
from datetime import datetime as DateTime  # noqa: N812
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_datetime_format
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import Undefined

from nurture.domain.instant import Instant, parse_iso, to_datetime
from nurture.rendering.render_context import RENDERING

Style = Literal["full", "long", "medium", "short"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_OF_YEAR = re.compile(r"(?:--)?(\d{2})-(\d{2})")
_CURRENCY = re.compile(r"[A-Z]{3}")


@lru_cache(maxsize=64)
def babel_locale(tag: str) -> Locale:
    """Return Babel's locale of a BCP 47 tag. Raises ValueError for one it does not know."""
    try:
        return Locale.parse(tag, sep="-")
    except Exception as error:
        raise ValueError(f"{tag!r} is no locale that dates and money can be written in") from error


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant_of(value: Any) -> Instant:
    """Return the instant that a template value stands for. Raises ValueError when it stands for none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.lstrip("-").isdecimal() else parse_iso(text)
    raise ValueError(f"{value!r} is no instant")


def _day(value: Any) -> Date | None:
    """Return the date of a text that holds only a date."""
    return Date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None


@lru_cache(maxsize=4096)
def _local(instant: Instant, zone: str) -> DateTime:
    return to_datetime(instant).astimezone(_zone(zone))


@lru_cache(maxsize=4096)
def _shown_date(day: Date, style: str, locale: str) -> str:
    return format_date(day, format=style, locale=babel_locale(locale))


@lru_cache(maxsize=4096)
def _shown_time(instant: Instant, zone: str, style: str, locale: str) -> str:
    # By instant and zone: one moment's datetimes in two zones are equal, and so would share a place in the cache.
    return format_time(_local(instant, zone), format=style, locale=babel_locale(locale))


def date(value: Any, style: str = "long") -> str:
    """Return `July 6, 2026`; styles short, medium, long, full, or a pattern of Babel's."""
    if isinstance(value, Undefined):
        return str(value)
    now = RENDERING.get()
    of_year = _DAY_OF_YEAR.fullmatch(value) if isinstance(value, str) else None
    if of_year:
        # 2000 has a 29 February.
        day = Date(2000, int(of_year[1]), int(of_year[2]))
        return str(format_skeleton("MMMMd", day, locale=babel_locale(now.locale)))
    return _shown_date(_day(value) or _local(instant_of(value), now.zone).date(), style, now.locale)


def time(value: Any, style: str = "short") -> str:
    """Return `3:00 PM`, in the mail's zone."""
    if isinstance(value, Undefined):
        return str(value)
    now = RENDERING.get()
    return _shown_time(instant_of(value), now.zone, style, now.locale)


def datetime(value: Any, style: Style = "long") -> str:
    """Return `July 6, 2026, 3:00 PM`: the date in this style, the time short."""
    if isinstance(value, Undefined):
        return str(value)
    now = RENDERING.get()
    instant = instant_of(value)
    pattern = str(get_datetime_format(style, locale=babel_locale(now.locale))).replace("'", "")
    day = _shown_date(_local(instant, now.zone).date(), style, now.locale)
    return pattern.replace("{1}", day).replace("{0}", _shown_time(instant, now.zone, "short", now.locale))


def _number(value: Any) -> Decimal:
    try:
        # `True` becomes "True", which is no number.
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None
    if not number.is_finite() or abs(number) > 10**18:
        raise ValueError(f"{value!r} is no number to print")
    return number


@lru_cache(maxsize=4096)
def _shown_money(amount: Decimal, currency: str, locale: str) -> str:
    return str(format_currency(amount, currency, locale=babel_locale(locale)))


def money(value: Any, currency: Any) -> str:
    """Return `€13.50`. value: an amount in the currency's major unit. currency: ISO 4217, three letters."""
    for given in (value, currency):
        if isinstance(given, Undefined):
            return str(given)
    code = str(currency).strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise ValueError(f"{currency!r} is no currency; write three letters, for example EUR")
    return _shown_money(_number(value), code, RENDERING.get().locale)


def number(value: Any, digits: int | None = None) -> str:
    """Return `1,234.5` in the language's writing; digits: exactly so many after the point."""
    if isinstance(value, Undefined):
        return str(value)
    amount = _number(value)
    if digits is not None:
        amount = round(amount, max(0, min(int(digits), 9)))
    pattern = (
        None if digits is None else "#,##0" + ("." + "0" * max(0, min(int(digits), 9)) if digits else "")
    )
    return str(format_decimal(amount, format=pattern, locale=babel_locale(RENDERING.get().locale)))


def percent(value: Any) -> str:
    """Return `25%` of 25: a percentage as people say it, not as a fraction."""
    if isinstance(value, Undefined):
        return str(value)
    return str(format_percent(_number(value) / 100, locale=babel_locale(RENDERING.get().locale)))
