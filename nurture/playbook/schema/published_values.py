"""The `values` of `playbook.yaml`: figures that are computed elsewhere and handed in with a version."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from nurture.domain.instant import parse_duration
from nurture.domain.published_values import read_number
from nurture.playbook.schema.values import NAME_FORM, DurationText, Name, PropertyName, Strict, refuse


def _number(value: Any) -> int:
    number = read_number(value)
    if number is None:
        raise refuse(f"{value!r} is no number", "write for example 30%, 0.3 or 40")
    return number


def _interval(value: Any) -> Any:
    """Return a duration in microseconds, or a name as it is."""
    if isinstance(value, str):
        try:
            duration = parse_duration(value)
        except (ValueError, OverflowError):
            duration = None
        if duration is not None and duration >= 0:
            return duration
        if duration is None and _is_name(value):
            return value
    raise refuse(f"{value!r} is no interval", "write a duration such as 45d, or name a table or a value")


def _is_name(text: str) -> bool:
    return re.fullmatch(NAME_FORM, text) is not None


#: A number or a percentage, in millionths.
NumberText = Annotated[
    int,
    BeforeValidator(_number),
    WithJsonSchema({"type": ["number", "string"], "description": "A number or a percentage: 0.3, 40, 30%."}),
]
#: Microseconds, or the name of a table of durations or of a published value.
IntervalText = Annotated[
    int | str,
    BeforeValidator(_interval),
    WithJsonSchema(
        {"type": "string", "description": "A duration such as 45d, or the name of a table or of a value."}
    ),
]


class ValueFile(Strict):
    """A published value: a number of each contact with its bands, or one by key."""

    of: PropertyName
    bands: Annotated[dict[Name, NumberText], Field(min_length=2)] | None = None
    margin: NumberText | None = None
    refresh: DurationText | None = None
    model: Name | None = None
    horizon: DurationText | None = None
    otherwise: IntervalText | None = Field(default=None, alias="else")
