"""The model of steps that send no mail: `emit` and `end_topic`."""

from typing import Annotated

from pydantic import Field

from nurture.playbook.schema.values import ConditionText, EventName, Name, PropertyName, Strict

StepId = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,59}$", description="The step's id; runs refer to it, so never change it."
    ),
]
StepWas = Annotated[
    StepId | None, Field(description="The id it had before; people in flight are known by the oldest one.")
]


class EmitFile(Strict):
    """The event: its name, and properties that are values or names of values."""

    event: EventName
    properties: dict[PropertyName, bool | int | float | str] = Field(default_factory=dict)


class EmitStepFile(Strict):
    """Hand in an event about the person."""

    emit: EmitFile
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None


class EndTopicStepFile(Strict):
    """Withdraw the person's consent to a topic."""

    end_topic: Name
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None
