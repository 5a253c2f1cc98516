"""The steps of a measure that send the person no mail: an event of our own, the end of a consent, owners told."""

from dataclasses import dataclass

from nurture.domain.conditions import Condition, Table
from nurture.domain.instant import Duration


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that is looked up when the step is reached.

    `entity.FIELD`, `event.PROPERTY`, `contact.FACT`, the name of a `let` value, or `run_id`.
    """

    name: str


EmitValue = bool | int | float | str | Reference | Table


@dataclass(frozen=True, slots=True)
class EmitStep:
    """A step that hands in an event about the contact."""

    id: str
    event: str
    properties: tuple[tuple[str, EmitValue], ...] = ()
    when: Condition | None = None
    # True: it is about the person by whose link the contact came.
    to_referrer: bool = False


@dataclass(frozen=True, slots=True)
class EndTopicStep:
    """A step that withdraws the contact's consent to a topic."""

    id: str
    topic: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class NotifyStep:
    """A step that mails people of the house, and with a due time opens a case."""

    id: str
    # Owners, or `contact.FACT` that names one; the first one has the case in hand.
    to: tuple[str, ...]
    # Its text is the file `<mail>.<default locale>.txt`.
    mail: str
    # The time within which the case is to be dealt with: as it is, or (days, time besides) of the owner's hours.
    due: Duration | tuple[int, Duration] | None = None
    when: Condition | None = None


ActionStep = EmitStep | EndTopicStep | NotifyStep
