"""The `facts` of `playbook.yaml`: one model for each fold, chosen by its first key."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from nurture.playbook.schema.events import EventMatcher, EventNames, Matcher
from nurture.playbook.schema.published_values import IntervalText
from nurture.playbook.schema.values import (
    ConditionText,
    DurationText,
    EventName,
    Name,
    PropertyName,
    Strict,
    ValueType,
    refuse,
)

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


#: The strength of a person's own word on our page.
_OWN_WORD: Final = 9


def _no_own_word(strength: int) -> int:
    if strength == _OWN_WORD:
        raise refuse(f"label strength {_OWN_WORD} is the person's own", "use 1 to 8")
    return strength


class Evidence(Strict):
    """Events that speak for one text of a label."""

    event: EventNames
    where: ConditionText | None = None
    strength: (
        Annotated[
            int,
            Field(ge=1, le=9, description="1 is a click, 8 an answer. Default 1."),
            AfterValidator(_no_own_word),
        ]
        | None
    ) = None


AnyEvidence = Annotated[
    Annotated[EventName, Tag("name")] | Annotated[Evidence, Tag("evidence")],
    Discriminator(
        lambda value: "name" if isinstance(value, str) else "evidence",
        custom_error_type="form",
        custom_error_message="write an event's name, or {event: NAME, where: CONDITION, strength: 3}",
    ),
]


class LabelFact(Strict):
    """One text out of several: the strongest evidence decides, of equal strength the newest."""

    label: Annotated[dict[Name, Annotated[list[AnyEvidence], Field(min_length=1)]], Field(min_length=1)]
    otherwise: Name | None = Field(default=None, alias="else")


class RhythmFact(Strict):
    """The instant by which a person has been silent for some of their own usual intervals."""

    rhythm: Name
    times: Annotated[int, Field(ge=1, le=20)]
    usual: IntervalText
    weight: Annotated[int, Field(ge=1, le=100)] | None = None


#: The keys that name the fold of a fact.
FOLDS = (
    *("count", "sum", "min", "max", "first", "last", "latest", "set", "ever", "trait", "entity", "verdict"),
    *("label", "rhythm"),
)


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
    | Annotated[VerdictFact, Tag("verdict")]
    | Annotated[LabelFact, Tag("label")]
    | Annotated[RhythmFact, Tag("rhythm")],
    Discriminator(
        _fold,
        custom_error_type="form",
        custom_error_message="write one of the keys " + ", ".join(FOLDS),
    ),
]
