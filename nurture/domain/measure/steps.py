"""The steps of a measure: mails, waits, branches and actions."""

from dataclasses import dataclass
from typing import Literal

from nurture.domain.conditions import Condition, Table
from nurture.domain.instant import Duration
from nurture.domain.measure.actions import ActionStep
from nurture.domain.measure.words import LocalSlot


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar attachment (RFC 5545). Each text is a template over the mail's context."""

    method: Literal["REQUEST", "CANCEL"]
    uid: str
    start: str
    end: str
    summary: str
    location: str = ""
    # The zone of the times; None: the contact's.
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class MailStep:
    """A step that decides one mail; it is skipped when `when` (facts, entity, let) is not yes at that moment."""

    id: str
    # The template's name: files `<mail>.<locale>.mjml` and `<mail>.<locale>.txt`.
    mail: str
    when: Condition | None = None
    send_at: LocalSlot | None = None
    # Overrides the measure's valid_for.
    valid_for: Duration | None = None
    calendar: Calendar | None = None
    # The guard judges it in the sending transaction with the bound objects as they are then; not yes: skipped.
    send_if: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitFor:
    """A wait of a duration from the end of the step before."""

    id: str
    duration: Duration
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitFromTable:
    """A wait of a duration that a table gives, looked up when the run comes to the step."""

    id: str
    table: Table
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilSlot:
    """A wait until the first such local time that is at least `at_least` away."""

    id: str
    slot: LocalSlot
    at_least: Duration = 0
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilEvent:
    """A wait until one of these events (with `key`: for the run's entity key), at most `at_most`."""

    id: str
    names: tuple[str, ...]
    at_most: Duration
    key: str | None = None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilDate:
    """A wait until a date ± offset: a fact, or `entity.field` of the run's entity. It follows the date as it moves.

    A past date ends the wait; an unknown date ends the run with reason `date_unknown`.
    """

    id: str
    date: str
    offset: Duration = 0
    minute_of_day: int | None = None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilMoment:
    """A wait until the next day of a moment, at a local time of day; without such a day the run ends."""

    id: str
    moment: str
    minute_of_day: int = 0
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitBusinessTime:
    """A wait of open time of an owner's calendar; without an owner who has one the run ends."""

    id: str
    # Days of the calendar, and open time besides.
    days: int
    rest: Duration = 0
    # The owner, or `contact.FACT` that names one; "": the measure's sender.
    owner: str = ""
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One of the ways behind a branch."""

    # None: `else`, the way of runs for which no case before is yes.
    when: Condition | None
    # How many steps it has, those of branches inside it too; they follow the steps of the case before.
    length: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A choice between lists of steps: a run takes the first case whose condition is yes when it gets there."""

    id: str
    cases: tuple[Case, ...]
    when: Condition | None = None


Wait = (
    WaitFor
    | WaitFromTable
    | WaitBusinessTime
    | WaitUntilSlot
    | WaitUntilEvent
    | WaitUntilDate
    | WaitUntilMoment
)
Step = MailStep | Wait | Branch | ActionStep


def conditions_of_step(step: Step) -> list[Condition | None]:
    """Return the conditions that a step asks; None where the file gives none."""
    match step:
        case MailStep():
            return [step.when, step.send_if]
        case Branch():
            return [step.when, *(case.when for case in step.cases)]
        case _:
            return [step.when]
