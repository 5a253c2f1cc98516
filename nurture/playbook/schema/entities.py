"""The `entities` of `playbook.yaml`: things of a person that have a key."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.events import EventMatcher, EventNames
from nurture.playbook.schema.published_values import IntervalText
from nurture.playbook.schema.values import ConditionText, DurationText, EventName, Name, PropertyName, Strict

#: One property or several; the first that an event has is used.
PropertyNames = Annotated[
    Annotated[PropertyName, Tag("name")] | Annotated[list[PropertyName], Field(min_length=1), Tag("names")],
    Discriminator(lambda value: "names" if isinstance(value, list) else "name"),
]


class LineList(Strict):
    """The list inside an entity: a property of its events, or lines that events add and remove."""

    source: PropertyName | None = Field(default=None, alias="in")
    key: PropertyNames
    added_by: EventNames | None = None
    removed_by: EventNames | None = None


class Refund(Strict):
    """An event that gives a part of the amount back; one told twice under the same key counts once."""

    amount: PropertyName
    key: PropertyName | None = None
    where: ConditionText | None = None


class Cancellation(Strict):
    """An event that reverses in full when its condition holds."""

    full: Literal[True]
    where: ConditionText


def _reversal(value: object) -> str | None:
    if isinstance(value, str):
        return "full"
    if isinstance(value, Cancellation) or (isinstance(value, dict) and "full" in value):
        return "cancellation"
    return "refund" if isinstance(value, (dict, Refund)) else None


AnyReversal = Annotated[
    Annotated[Literal["full"], Tag("full")]
    | Annotated[Cancellation, Tag("cancellation")]
    | Annotated[Refund, Tag("refund")],
    Discriminator(
        _reversal,
        custom_error_type="form",
        custom_error_message="write full, {amount: PROPERTY, key: PROPERTY} or {full: true, where: CONDITION}",
    ),
]


class DueFile(Strict):
    """When a line is needed again: the usual interval, and how many of the person's own it weighs."""

    usual: IntervalText
    weight: Annotated[int, Field(ge=1, le=100)] | None = None


class EntityFile(Strict):
    """A kind of thing with a key that opens, counts once, closes and may be reversed."""

    key: PropertyNames
    of: EventMatcher
    counts_from: EventMatcher | None = None
    amount: PropertyName | None = None
    lines: LineList | None = None
    reversed_by: dict[EventName, AnyReversal] | None = None
    restored_by: EventMatcher | None = None
    closed_by: dict[EventName, Literal["key", "all"]] | None = None
    within: Name | None = None
    due: DueFile | None = None
    keep: (
        Annotated[int, Field(ge=1, le=1000, description="How many are kept whole, newest first.")] | None
    ) = None
    remember: DurationText | None = None
