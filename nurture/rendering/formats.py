"""The filters that format in the mail's locale, and `times`, which multiplies an amount.

Instants are microseconds; ISO 8601 text, as event properties hold it, is accepted too. A date without a time
(`2026-07-06`, `07-06`) has no zone and is shown unchanged. Everything else is shown in the zone that the template
names, by default in the mail's own.
"""

import re
from datetime import date as Date  # noqa: N812 - `date` is the filter
from datetime import datetime as DateTime  # noqa: N812
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_datetime_format, get_timezone_location
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import Undefined

from nurture.domain.instant import Instant, to_datetime
from nurture.domain.values import SCALAR_TEXT_MAX, coerce, is_usable, read_decimal, read_time
from nurture.rendering.render_state import RENDER_STATE, RenderState

Style = Literal["full", "long", "medium", "short"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_OF_YEAR = re.compile(r"(?:--)?(\d{2})-(\d{2})")
_CURRENCY = re.compile(r"[A-Z]{3}")


@lru_cache(maxsize=64)
def babel_locale(tag: str) -> Locale:
    """Return Babel's locale of a BCP 47 tag. Raises ValueError for a tag that Babel does not kstate."""
    try:
        return Locale.parse(tag, sep="-")
    except Exception as error:
        raise ValueError(f"{tag!r} is no locale that dates and money can be written in") from error


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def parse_instant(value: Any) -> Instant:
    """Return the instant of a template value: microseconds or ISO 8601 text. Raises ValueError for anything else."""
    instant: Instant | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        instant = value
    elif isinstance(value, str):
        text = value.strip()
        is_number = len(text) <= SCALAR_TEXT_MAX and text.lstrip("-").isdecimal()
        instant = int(text) if is_number else read_time(text)
    if instant is None or not is_usable(instant):
        raise ValueError(f"{value!r:.80} is no date to print")
    return instant


def _day(value: Any) -> Date | None:
    """Return the date of a text like `2026-07-06`; None for any other value."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return None
    if coerce(value, "date") is None:
        raise ValueError(f"{value!r} is no date to print")
    return Date.fromisoformat(value)


@lru_cache(maxsize=4096)
def _local(instant: Instant, zone: str) -> DateTime:
    return to_datetime(instant).astimezone(_zone(zone))


@lru_cache(maxsize=4096)
def _format_day(day: Date, style: str, locale: str) -> str:
    return format_date(day, format=style, locale=babel_locale(locale))


@lru_cache(maxsize=4096)
def _format_instant(instant: Instant, zone: str, style: str, locale: str) -> str:
    # The cache key is instant and zone: the datetimes of one instant in two zones are equal, so they cannot be the key.
    return format_time(_local(instant, zone), format=style, locale=babel_locale(locale))


def _zone_of(zone: Any, state: RenderState) -> str:
    """Return the zone that a template names, such as the zone of a place; without one the mail's own."""
    return state.zone if zone is None or isinstance(zone, Undefined) else str(zone)


def date(value: Any, style: str = "long", zone: Any = None) -> str:
    """Return `July 6, 2026`. style: short, medium, long, full, or a pattern of Babel. zone: IANA; the mail's own."""
    if isinstance(value, Undefined):
        return str(value)
    state = RENDER_STATE.get()
    of_year = _DAY_OF_YEAR.fullmatch(value) if isinstance(value, str) else None
    if of_year:
        # 2000 has a 29 February.
        day = Date(2000, int(of_year[1]), int(of_year[2]))
        return str(format_skeleton("MMMMd", day, locale=babel_locale(state.locale)))
    day = _day(value) or _local(parse_instant(value), _zone_of(zone, state)).date()
    return _format_day(day, style, state.locale)


def time(value: Any, style: str = "short", zone: Any = None) -> str:
    """Return `3:00 PM`. style: as of `date`. zone: IANA; the mail's own."""
    if isinstance(value, Undefined):
        return str(value)
    state = RENDER_STATE.get()
    return _format_instant(parse_instant(value), _zone_of(zone, state), style, state.locale)


def datetime(value: Any, style: Style = "long", zone: Any = None) -> str:
    """Return `July 6, 2026, 3:00 PM`. style: of the date; the time is always short. zone: IANA; the mail's own."""
    if isinstance(value, Undefined):
        return str(value)
    state = RENDER_STATE.get()
    instant = parse_instant(value)
    pattern = str(get_datetime_format(style, locale=babel_locale(state.locale))).replace("'", "")
    here = _zone_of(zone, state)
    day = _format_day(_local(instant, here).date(), style, state.locale)
    return pattern.replace("{1}", day).replace("{0}", _format_instant(instant, here, "short", state.locale))


@lru_cache(maxsize=256)
def _city(zone: str, locale: str) -> str:
    return str(get_timezone_location(_zone(zone), locale=babel_locale(locale), return_city=True))


def city(value: Any) -> str:
    """Return the city that a zone is named after: `Berlin`, `柏林`. value: an IANA zone."""
    if isinstance(value, Undefined):
        return str(value)
    return _city(str(value), RENDER_STATE.get().locale)


def _number(value: Any) -> Decimal:
    # `True` becomes "True", which is no number.
    number = read_decimal(str(value))
    if number is None or abs(number) > 10**18:
        raise ValueError(f"{value!r:.80} is no number to print")
    return number


@lru_cache(maxsize=4096)
def _format_amount(amount: Decimal, currency: str, locale: str) -> str:
    return str(format_currency(amount, currency, locale=babel_locale(locale)))


def money(value: Any, currency: Any) -> str:
    """Return `€13.50`. value: an amount in the currency's major unit. currency: ISO 4217, three letters."""
    for argument in (value, currency):
        if isinstance(argument, Undefined):
            return str(argument)
    code = str(currency).strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise ValueError(f"{currency!r} is no currency; write three letters, for example EUR")
    return _format_amount(_number(value), code, RENDER_STATE.get().locale)


def times(value: Any, quantity: Any) -> Decimal:
    """Return the amount times the quantity, each a number or text that holds one: a line's total, for `money`."""
    for argument in (value, quantity):
        if isinstance(argument, Undefined):
            return Decimal(str(argument))
    return _number(value) * _number(quantity)


def number(value: Any, digits: int | None = None) -> str:
    """Return `1,234.5` as the locale writes it. digits: how many after the decimal point; None: as needed."""
    if isinstance(value, Undefined):
        return str(value)
    amount = _number(value)
    if digits is not None:
        amount = round(amount, max(0, min(int(digits), 9)))
    pattern = (
        None if digits is None else "#,##0" + ("." + "0" * max(0, min(int(digits), 9)) if digits else "")
    )
    return str(format_decimal(amount, format=pattern, locale=babel_locale(RENDER_STATE.get().locale)))


def percent(value: Any) -> str:
    """Return `25%` for 25. value: a percentage, not a fraction."""
    if isinstance(value, Undefined):
        return str(value)
    return str(format_percent(_number(value) / 100, locale=babel_locale(RENDER_STATE.get().locale)))


_TENTHS = "零一二三四五六七八九"


def discount(value: Any) -> str:
    """Return what a percentage takes off, as the language says it: `25%`, `七五折`. value: of the offer, 0 to 100."""
    if isinstance(value, Undefined):
        return str(value)
    taken = _number(value)
    if not 0 < taken < 100 or not RENDER_STATE.get().locale.startswith("zh"):
        return percent(value)
    left = 100 - taken
    if left != left.to_integral_value():
        return f"{(left / 10).normalize():f} 折"
    tens, ones = divmod(int(left), 10)
    return (_TENTHS[tens] if tens else "零点") + (_TENTHS[ones] if ones else "") + "折"
