"""The models of a measure's essentials: call to action, metric, the other track, and why it sells early."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from nurture.playbook.schema.values import DurationText, EventName, Name, Strict, Words

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
    """The event by which the measure's effect is measured."""

    event: EventName
    within: DurationText
    expect: Words
