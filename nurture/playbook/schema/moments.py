"""The model of `moments`: days of the calendar that the playbook names."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from nurture.domain.values import coerce
from nurture.playbook.schema.values import Strict, WeekdayName, refuse


def _day_of_year(value: Any) -> str:
    day: str | None = coerce(value, "date") if isinstance(value, str) else None
    if day is None or day != value or len(day) != len("12-25"):
        raise refuse(f"{value!r} is not a day of every year", 'write "12-25": month and day, in quotes')
    return day


def _day(value: Any) -> str:
    day: str | None = coerce(value, "date") if isinstance(value, str) else None
    if day is None or day != value or len(day) != len("2027-12-25"):
        raise refuse(f"{value!r} is not a day", 'write "2027-12-25", in quotes')
    return day


def _lunar_day(value: Any) -> tuple[int, int]:
    parts = value.split("-") if isinstance(value, str) else []
    numbers = [int(part) for part in parts if part.isdecimal() and len(part) == len("08")]
    if len(parts) != 2 or len(numbers) != 2 or not (1 <= numbers[0] <= 12 and 1 <= numbers[1] <= 30):
        raise refuse(f"{value!r} is not a lunar day", 'write "08-15": lunar month 01 to 12 and day 01 to 30')
    return numbers[0], numbers[1]


class FixedMoment(Strict):
    """The same day every year."""

    fixed: Annotated[str, BeforeValidator(_day_of_year), Field(description='"12-25"')]


class EasterMoment(Strict):
    """So many days after Easter Sunday; negative: before it."""

    easter: Annotated[int, Field(ge=-180, le=180)]


class WeekdayMoment(Strict):
    """The nth weekday of a month; -1 is the last one."""

    nth: Literal[-1, 1, 2, 3, 4, 5]
    weekday: WeekdayName
    month: Annotated[int, Field(ge=1, le=12)]


class LunarMoment(Strict):
    """A day of the Chinese lunar calendar; day 30 is the last one of a month with 29 days."""

    lunar: Annotated[tuple[int, int], BeforeValidator(_lunar_day), Field(description='"08-15"')]


class ListedMoment(Strict):
    """Days that are listed one by one."""

    dates: Annotated[
        list[Annotated[str, BeforeValidator(_day), Field(description='"2027-03-12"')]], Field(min_length=1)
    ]


_FORMS = ("fixed", "easter", "nth", "lunar", "dates")


def _form(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((name for name in _FORMS if name in value), None)
    return next((name for name in _FORMS if hasattr(value, name)), None)


AnyMoment = Annotated[
    Annotated[FixedMoment, Tag("fixed")]
    | Annotated[EasterMoment, Tag("easter")]
    | Annotated[WeekdayMoment, Tag("nth")]
    | Annotated[LunarMoment, Tag("lunar")]
    | Annotated[ListedMoment, Tag("dates")],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message='write {fixed: "12-25"}, {easter: -2}, {nth: 4, weekday: thu, month: 11}, '
        '{lunar: "08-15"} or {dates: ["2027-03-12"]}',
    ),
]
