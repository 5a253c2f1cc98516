"""The model of steps that send the person no mail: `emit`, `end_topic` and `notify`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.values import (
    BusinessText,
    ConditionText,
    DurationText,
    EventName,
    Name,
    PropertyName,
    Strict,
)

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
    to: Annotated[
        Literal["contact", "referrer"] | None,
        Field(description="referrer: the person by whose personal link this one came."),
    ] = None
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


class BusinessTime(Strict):
    """Open time of an owner's calendar."""

    business: BusinessText


AnyIn = Annotated[
    Annotated[DurationText, Tag("duration")] | Annotated[BusinessTime, Tag("business")],
    Discriminator(lambda value: "business" if isinstance(value, (dict, BusinessTime)) else "duration"),
]
#: An owner's name, or a fact of the contact that holds one.
OwnerText = Annotated[str, Field(pattern=r"^(contact\.)?[a-z][a-z0-9_]{0,59}$")]
AnyOwners = Annotated[
    Annotated[OwnerText, Tag("one")] | Annotated[list[OwnerText], Field(min_length=1), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list) else "one"),
]


class NotifyFile(Strict):
    """Whom to tell, by which text; with `due` a case is opened, and the first owner has it in hand."""

    to: AnyOwners
    mail: StepId
    due: AnyIn | None = None


class NotifyStepFile(Strict):
    """Mail people of the house about the person."""

    notify: NotifyFile
    id: StepId | None = None
    was: StepWas = None
    when: ConditionText | None = None
