"""The `facts` of `playbook.yaml`: one model for each fold, chosen by its first key."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.events import EventMatcher, Matcher
from nurture.playbook.schema.values import DurationText, EventName, Name, PropertyName, Strict, ValueType

Scale = Annotated[int, Field(ge=0, le=6, description="Decimal digits kept of a decimal; money: 2.")]
Keep = Annotated[int, Field(ge=1, le=1000, description="How many are kept, newest first.")]


class CountFact(Strict):
    """The number of such events; with `within`, the number in that last span of time."""

    count: Matcher
    within: DurationText | None = None
    keep: Keep | None = None


class SumFact(Strict):
    """The sum of a property over such events."""

    source: PropertyName = Field(alias="sum")
    of: Matcher
    type: Literal["integer", "decimal"] | None = None
    scale: Scale | None = None


class MinFact(Strict):
    """The smallest value of a property; unknown before the first."""

    source: PropertyName = Field(alias="min")
    of: Matcher
    type: Literal["integer", "decimal", "instant"] | None = None
    scale: Scale | None = None


class MaxFact(Strict):
    """The largest value of a property; unknown before the first."""

    source: PropertyName = Field(alias="max")
    of: Matcher
    type: Literal["integer", "decimal", "instant"] | None = None
    scale: Scale | None = None


class FirstFact(Strict):
    """The instant of the first such event; never until then."""

    first: Matcher


class LastFact(Strict):
    """The instant of the last such event; never until then."""

    last: Matcher


class LatestFact(Strict):
    """The newest value of a property; unknown until there is one. `type` defaults to the property's own."""

    source: PropertyName = Field(alias="latest")
    of: Matcher
    type: ValueType | None = None
    scale: Scale | None = None


class SetFact(Strict):
    """The different values of a property, newest `keep`."""

    source: PropertyName = Field(alias="set")
    of: Matcher
    keep: Keep | None = None


class EverFact(Strict):
    """True for ever once `at_least` such events fell within one span of `within`."""

    ever: Matcher
    at_least: Annotated[int, Field(ge=1, le=100)] | None = None
    within: DurationText | None = None


class TraitFact(Strict):
    """The newest value of a trait (identify call); unknown until one is given. `type` defaults to text."""

    trait: PropertyName
    type: ValueType | None = None
    scale: Scale | None = None


class Lines(Strict):
    """The keyed list inside an entity: the goods of a cart."""

    key: PropertyName
    added_by: Annotated[list[EventName], Field(min_length=1)]
    removed_by: list[EventName] = Field(default_factory=list)


class EntityFact(Strict):
    """Things with a key that open and close: carts, orders, appointments, support cases."""

    key: PropertyName = Field(alias="entity")
    of: EventMatcher
    closed_by: dict[EventName, Literal["key", "all"]] | None = None
    keep: Keep | None = None
    remember: DurationText | None = None
    lines: Lines | None = None


class Signs(Strict):
    """The events that mean yes and no. The newest one decides; an open entity of `open_no` means no."""

    yes: Matcher
    no: Matcher
    open_no: list[Name] = Field(default_factory=list)


class VerdictFact(Strict):
    """A three-valued fact: yes, no or unknown."""

    verdict: Signs


#: The keys that name the fold of a fact.
FOLDS = ("count", "sum", "min", "max", "first", "last", "latest", "set", "ever", "trait", "entity", "verdict")


def _fold(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((fold for fold in FOLDS if fold in value), None)
    return None


AnyFact = Annotated[
    Annotated[CountFact, Tag("count")]
    | Annotated[SumFact, Tag("sum")]
    | Annotated[MinFact, Tag("min")]
    | Annotated[MaxFact, Tag("max")]
    | Annotated[FirstFact, Tag("first")]
    | Annotated[LastFact, Tag("last")]
    | Annotated[LatestFact, Tag("latest")]
    | Annotated[SetFact, Tag("set")]
    | Annotated[EverFact, Tag("ever")]
    | Annotated[TraitFact, Tag("trait")]
    | Annotated[EntityFact, Tag("entity")]
    | Annotated[VerdictFact, Tag("verdict")],
    Discriminator(
        _fold,
        custom_error_type="form",
        custom_error_message="write one of the keys " + ", ".join(FOLDS),
    ),
]
