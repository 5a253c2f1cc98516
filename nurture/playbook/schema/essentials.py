"""The models of a measure's essentials: call to action, metric, the other track, and why it sells early."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nurture.playbook.schema.values import DurationText, EventName, Name, PropertyName, Strict, Words, refuse

#: Keys that a new file must have and that what is published may lack, with the advice of their faults.
REQUIRED: Mapping[str, str] = {
    "audience_source": "say in words where these people come from",
    "metric": 'write {event: ..., within: 14d, expect: "25%"}: the event that shows success',
}

EarlyWords = Annotated[Words, Field(description="Why it may sell in every stage of its track, in words.")]
OtherTrack = Annotated[
    Words, Field(description='The measure of the other track with the same trigger, or "none: why".')
]


class CallToAction(Strict):
    """The action that the mail asks for, and its link (a template)."""

    kind: Name
    link: Words


class MetricFile(Strict):
    """The effect of a measure: people with an event, people with an entity, or money per person."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["event"]}, {"required": ["count"]}, {"required": ["sum", "of"]}]
        }
    )

    event: EventName | None = None
    count: Annotated[Name, Field(description="A kind of entities: people with one that stands.")] | None = (
        None
    )
    sum: Annotated[PropertyName, Field(description="amount: money per person.")] | None = None
    of: Annotated[Name, Field(description="The kind of entities whose amounts are added.")] | None = None
    net_of: Literal["incentive"] | None = None
    within: DurationText
    expect: Words

    @model_validator(mode="after")
    def _require_one_form(self) -> Self:
        forms = [name for name in ("event", "count", "sum") if getattr(self, name) is not None]
        if len(forms) != 1:
            what = f"{' and '.join(forms)} in one metric" if forms else "a metric without what it measures"
            raise refuse(what, "write one of event: NAME, count: ENTITY, or sum: amount with of: ENTITY")
        if (self.sum is None) is not (self.of is None):
            raise refuse("`sum` and `of` belong together", "write sum: amount, of: ENTITY")
        if self.net_of is not None and self.sum is None:
            raise refuse("`net_of` of what is no money", "remove it, or write sum: amount, of: ENTITY")
        return self
