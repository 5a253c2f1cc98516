"""The steps of a measure that send no mail: an event of our own, the end of a consent."""

from dataclasses import dataclass

from nurture.domain.conditions import Condition


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that is looked up when the step is reached.

    `entity.FIELD`, `event.PROPERTY`, `contact.FACT`, the name of a `let` value, or `run_id`.
    """

    name: str


EmitValue = bool | int | float | str | Reference


@dataclass(frozen=True, slots=True)
class EmitStep:
    """A step that hands in an event about the contact."""

    id: str
    event: str
    properties: tuple[tuple[str, EmitValue], ...] = ()
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class EndTopicStep:
    """A step that withdraws the contact's consent to a topic."""

    id: str
    topic: str
    when: Condition | None = None


ActionStep = EmitStep | EndTopicStep
