"""The scalar types of the files: durations, local times, percentages, names, conditions.

Each type converts the file's text to the engine's value and has its own JSON Schema.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from nurture.domain.instant import DAY, parse_duration
from nurture.domain.values import coerce, read_decimal


class Strict(BaseModel):
    """A mapping of the files: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def refuse(what: str, change: str) -> PydanticCustomError:
    """Return an error that `validate` turns into a fault with this text."""
    return PydanticCustomError("fault", "{what}: {change}", {"what": what, "change": change})


def _text(read: Callable[[str], Any], form: str) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        if not isinstance(value, str):
            raise refuse(f"{value!r} is not {form}", f"write {form}")
        return read(value)

    return validate


def _duration(text: str) -> int:
    try:
        value = parse_duration(text)
    except (ValueError, OverflowError):
        raise refuse(f"{text!r} is not a duration", "write for example 15m, 2h, 30d or 1w") from None
    if value < 0:
        raise refuse(f"{text!r} is negative", "only an `offset` may be negative")
    return value


def _offset(text: str) -> int:
    try:
        return parse_duration(text)
    except (ValueError, OverflowError):
        raise refuse(f"{text!r} is not an offset", "write for example -7d, 2h or 30d") from None


def _business(text: str) -> tuple[int, int]:
    parts = re.findall(r"(\d{1,4})\s*([smhd])", text)
    if not parts or re.sub(r"(\d{1,4})\s*([smhd])", "", text).strip():
        raise refuse(f"{text!r} is no business time", "write for example 1d, 4h or 1d 4h; a week is 5d")
    days = sum(int(number) for number, unit in parts if unit == "d")
    rest = sum(parse_duration(number + unit) for number, unit in parts if unit != "d")
    if not 0 < days * DAY + rest <= _BUSINESS_MAX:
        raise refuse(f"{text!r} of business time", "write more than none and at most 366d")
    return days, rest


def _closed_day(text: str) -> str:
    if coerce(text, "date") is None and re.fullmatch(NAME_FORM, text) is None:
        raise refuse(
            f"{text!r} is not a day", 'write "2027-01-01", "12-25" for every year, or the name of a moment'
        )
    return text


def _clock(text: str) -> int:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise refuse(f"{text!r} is not a time of day", 'write "HH:MM", from "00:00" to "23:59"')
    return int(match[1]) * 60 + int(match[2])


def _percent(text: str) -> int:
    match = re.fullmatch(r"(\d{1,3})(?:\.(\d{1,2}))?\s*%", text)
    value = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else -1
    if not 0 <= value <= 10_000:
        raise refuse(f"{text!r} is not a percentage", "write for example 10% or 2.5%")
    return value


def _amount(value: Any) -> Decimal:
    amount = None if isinstance(value, bool | str) else read_decimal(value)
    if amount is None or amount <= 0:
        raise refuse(f"{value!r} is no amount", "write for example 25 or 25.50")
    return amount.quantize(Decimal("0.01"))


def _condition(value: Any) -> str:
    # YAML reads an unquoted True as a bool; conditions are text.
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise refuse(
            f"{value!r} is not a condition", "write for example `orders >= 1`, or True for everybody"
        )
    return value.strip()


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse(f"{text!r} is not a time zone", "write an IANA name such as Europe/Berlin") from None
    return text


def _matching(pattern: str, form: str) -> AfterValidator:
    def validate(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise refuse(f"{value!r} is not {form}", f"write {form}")
        return value

    return AfterValidator(validate)


def _schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


#: The longest promise of business time.
_BUSINESS_MAX = 366 * DAY
_UNITS = r"^\s*%s(\d+\s*[smhdw]\s*)+$"
#: The form of a name.
NAME_FORM = r"[a-z][a-z0-9_]{0,59}"
_PROPERTY = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
_LOCALE = r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"

#: Microseconds, written `2h`, `30d`, `1d 12h`.
DurationText = Annotated[
    int,
    BeforeValidator(_text(_duration, "a duration such as 2h or 30d")),
    _schema(_UNITS % "", "A duration: 90s, 15m, 2h, 30d, 1w, 1d 12h."),
]
#: Microseconds, may be negative: `-7d`.
OffsetText = Annotated[
    int,
    BeforeValidator(_text(_offset, "an offset such as -7d or 2h")),
    _schema(_UNITS % "[-+]?", "An offset: -7d is seven days before, 2h is two hours after."),
]
#: (days, microseconds besides) of an owner's open hours, written `1d`, `4h`.
BusinessText = Annotated[
    tuple[int, int],
    BeforeValidator(_text(_business, "business time such as 1d or 4h")),
    _schema(r"^\s*(\d+\s*[smhd]\s*)+$", "Open time of the owner's calendar: 1d, 4h, 1d 4h."),
]
#: A day on which an office stays closed: one day, the same day of every year, or the days of a moment.
ClosedDay = Annotated[
    str,
    BeforeValidator(_text(_closed_day, 'a day such as "2027-01-01" or "12-25"')),
    _schema(
        rf"^((\d{{4}}-)?\d{{2}}-\d{{2}}|{NAME_FORM})$",
        'A day in quotes: "2027-01-01", "12-25" for every year; or the name of a moment.',
    ),
]
#: Minutes after local midnight, written "HH:MM".
ClockText = Annotated[
    int,
    BeforeValidator(_text(_clock, 'a time of day such as "09:30"')),
    _schema(r"^([01]\d|2[0-3]):[0-5]\d$", 'A local time of day in quotes: "09:30".'),
]
#: Hundredths of a percent, written `10%`.
PercentText = Annotated[
    int,
    BeforeValidator(_text(_percent, "a percentage such as 10%")),
    _schema(r"^\d{1,3}(\.\d{1,2})?\s*%$", "A percentage: 10% or 2.5%."),
]
#: Money of a currency, written 25 or 25.50.
AmountNumber = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "description": "An amount: 25, 25.50."}),
]
#: An expression over facts, still as text; `build` parses it.
ConditionText = Annotated[
    str,
    BeforeValidator(_condition),
    WithJsonSchema(
        {"type": ["string", "boolean"], "description": "A condition, such as `orders >= 1`; True: always."}
    ),
]
ZoneText = Annotated[
    str, AfterValidator(_zone), WithJsonSchema({"type": "string", "description": "An IANA zone."})
]
LocaleText = Annotated[
    str,
    _matching(_LOCALE, "a locale such as en, de-AT or zh-CN"),
    _schema(f"^{_LOCALE}$", "A BCP 47 locale: en, zh-CN."),
]
#: A name that conditions and templates use.
Name = Annotated[
    str,
    _matching(NAME_FORM, "a name of small letters, digits and _"),
    _schema(f"^{NAME_FORM}$", "A name: small letters, digits, underscore."),
]
#: A property of an event, as tracking sends it.
PropertyName = Annotated[
    str,
    _matching(_PROPERTY, "a property name of letters, digits and _"),
    _schema(f"^{_PROPERTY}$", "The name of an event property."),
]


def _words(value: str) -> str:
    if not value.strip():
        raise refuse("empty text", "write something here")
    return value


#: Text that is not empty.
Words = Annotated[str, AfterValidator(_words), _schema(r"\S", "Text.")]
EventName = Annotated[str, AfterValidator(_words), _schema(r"\S", "An event's name: Order Completed.")]
WeekdayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ValueType = Literal["bool", "integer", "decimal", "instant", "date", "text"]
