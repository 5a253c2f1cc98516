"""Triggers: what starts a run of a measure, how often, and what ends it at once."""

from dataclasses import dataclass

from nurture.domain.conditions import Condition
from nurture.domain.instant import Duration
from nurture.domain.measure.words import LocalSlot


@dataclass(frozen=True, slots=True)
class OnEvent:
    """An event of one of these names, for which `where` (over its properties) holds."""

    names: tuple[str, ...]
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class OnQuiet:
    """An open entity (a cart, a quote) without an event for this long; the run is about that entity."""

    entity: str
    quiet: Duration


@dataclass(frozen=True, slots=True)
class OnMilestone:
    """A milestone that the contact reaches."""

    milestone: str


@dataclass(frozen=True, slots=True)
class OnStage:
    """A stage of the measure's track that the contact enters."""

    stage: str


@dataclass(frozen=True, slots=True)
class OnDate:
    """A date fact plus an offset, at a local time of day; `yearly` for anniversaries.

    In other years 29 February falls on 28 February. A date that changes before the instant moves the instant.
    """

    fact: str
    offset: Duration = 0
    yearly: bool = False
    minute_of_day: int | None = None


@dataclass(frozen=True, slots=True)
class OnEntityDate:
    """A date of each open entity plus an offset, at a local time of day; a date that moves to another day is anew."""

    entity: str
    # The field of the entity that holds the date.
    field: str
    offset: Duration = 0
    minute_of_day: int | None = None
    # True: the field is a day (`YYYY-MM-DD`), which begins at local midnight; else an instant.
    is_day: bool = False


@dataclass(frozen=True, slots=True)
class OnMoment:
    """A day of the calendar that the playbook names, at a local time of day (minutes after midnight)."""

    moment: str
    minute_of_day: int = 0


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """A local time on weekdays or on a day of the month, for every contact of the audience."""

    slot: LocalSlot


@dataclass(frozen=True, slots=True)
class OnObject:
    """An object's event (a product back in stock), for the contacts that watch the object, or for the audience."""

    kind: str
    names: tuple[str, ...]
    # True: for everybody in the measure's audience, whether they watch the object or not.
    to_audience: bool = False
    # The named lists of watchers; (): the list without a name.
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnCondition:
    """A change of the audience's answer from no or unknown to yes."""


@dataclass(frozen=True, slots=True)
class OnConsent:
    """The first consent to a topic that counts: with double opt-in, its confirmation."""

    topic: str


@dataclass(frozen=True, slots=True)
class OnOps:
    """A send by an operator: `nurture send`."""


#: Triggers that time alone fires.
Timed = OnQuiet | OnDate | OnEntityDate | OnMoment | OnSchedule
Trigger = OnEvent | OnMilestone | OnStage | OnObject | OnCondition | OnConsent | OnOps | Timed


@dataclass(frozen=True, slots=True)
class Once:
    """The key of a run, and when a contact may have another run.

    per: `contact` (key is ""), `event` (the event's message id), `entity` (the entity's key), `occasion` (the name of
    an ops send; of a date, the entity and the day; of a moment, the day), `year`, `month` or `day` (local calendar), or
    the name of a property of the triggering event (its value is the key).
    """

    per: str = "contact"
    # The least time between the starts of two runs of this measure, whatever their keys.
    gap: Duration = 0
    # With per contact: enter again when the last run started at least this long ago (keys "", "2", "3" ...).
    again_after: Duration | None = None
    # Events after which a new run of the same key replaces the active or ended one, with the key `KEY#2` ...
    again_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """An event, or a condition, that ends the run at once and cancels its queued mail."""

    # None: the condition alone decides.
    event: str | None
    # The event's property that must name the run's entity or one of its lines; None: any such event.
    key: str | None = None
    # Reason kept on the run: `converted`, `cancelled`, ... ; by default `exit`.
    reason: str = "exit"
    # Must be yes on the run's reading; without `event` it is judged after every event, alarm and ended mail.
    when: Condition | None = None
