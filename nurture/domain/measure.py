"""Measures: campaigns, each with its goal, audience, form, call to action, trigger and steps.

These are the frozen values that `nurture.playbook` builds from `measure.yaml`; nothing here reads a file.
Durations are microseconds (`domain.instant`), local times are minutes after local midnight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nurture.domain.conditions import Condition
from nurture.domain.instant import DAY, Duration

Track = Literal["lead", "customer"]
MessageTrack = Literal["lead", "customer", "any"]
Purpose = Literal["transactional", "service", "nurture", "sales", "advocacy", "survey"]
Kind = Literal["accelerator", "connector", "service"]

PURPOSES: tuple[Purpose, ...] = ("transactional", "service", "nurture", "sales", "advocacy", "survey")
#: Purposes that need a topic's consent; transactional and service mail do not.
MARKETING: frozenset[Purpose] = frozenset({"nurture", "sales", "advocacy", "survey"})
#: A lane's name with this behind it is the switch that stops its marketing mail alone.
MARKETING_SWITCH = ":marketing"
WEEKDAYS: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class LocalSlot:
    """A time of day in the contact's zone, on allowed weekdays (0 = Monday)."""

    minute_of_day: int | None = None
    weekdays: frozenset[int] = frozenset(range(7))
    # Day of the month, 1..31 (31 = the last day there is), for monthly schedules.
    month_day: int | None = None


# ---- triggers: what starts a run -------------------------------------------------------------------------


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
class OnSchedule:
    """A local time on weekdays or on a day of the month, for every contact of the audience."""

    slot: LocalSlot


@dataclass(frozen=True, slots=True)
class OnObject:
    """An object's event (a product back in stock), for the contacts that watch the object."""

    kind: str
    names: tuple[str, ...]


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
Timed = OnQuiet | OnDate | OnSchedule
Trigger = OnEvent | OnMilestone | OnStage | OnObject | OnCondition | OnConsent | OnOps | Timed


@dataclass(frozen=True, slots=True)
class Once:
    """The key of a run, and when a contact may have another run.

    per: `contact` (key is ""), `event` (the event's message id), `entity` (the entity's key), `occasion` (of an ops
    send), `year`, `month` or `day` (local calendar), or the name of a property of the triggering event (its value is
    the key).
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


# ---- steps -----------------------------------------------------------------------------------------------


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


Wait = WaitFor | WaitUntilSlot | WaitUntilEvent | WaitUntilDate
Step = MailStep | Wait


# ---- values fixed when the run's first mail passes the guard ---------------------------------------------


@dataclass(frozen=True, slots=True)
class LetCoupon:
    """A coupon code of a named offer, created once per run."""

    offer: str


@dataclass(frozen=True, slots=True)
class LetEndOfMonth:
    """The end of the local month in which the first mail is sent.

    With fewer than `at_least` left, the mail waits for the 1st of the next month.
    """

    at_least: Duration = 0


@dataclass(frozen=True, slots=True)
class LetIn:
    """An instant this long after the first mail, at the end of that local day."""

    duration: Duration


@dataclass(frozen=True, slots=True)
class LetBusiness:
    """A time that the mail promises: so much open time of an owner's calendar after the mail leaves."""

    # Days of the calendar, and open time besides.
    days: int
    rest: Duration = 0
    # The owner, or `contact.FACT` that names one; "": the measure's sender.
    owner: str = ""
    # `event.PROPERTY` or `entity.FIELD`: an instant that is promised instead while it is still ahead; "": none.
    given: str = ""


Let = LetCoupon | LetEndOfMonth | LetIn | LetBusiness


@dataclass(frozen=True, slots=True)
class ObjectBinding:
    """Binds a name in the template and in `send_if` to an object, read in the sending transaction."""

    kind: str
    # Property of the trigger event, or `entity.field`, that holds the object's key (or a list of keys).
    key: str


@dataclass(frozen=True, slots=True)
class Action:
    """The call to action: one of the playbook's kinds and its link, a template."""

    kind: str
    link: str


@dataclass(frozen=True, slots=True)
class Metric:
    """The event that shows whether the measure works."""

    event: str
    within: Duration
    expect: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several templates for the same steps: files `<mail>@<name>.<locale>.mjml`; weights add to 100."""

    name: str
    weight: int


#: new_address, old_address: of the request whose number the run's event carries; the person's own without one.
Recipient = Literal["person", "new_address", "old_address"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One campaign. `path` is its name and its place: `lead/convert/abandoned_cart`."""

    path: str
    track: MessageTrack
    # A stage of the track, or `any`.
    stage: str
    goal: str
    audience: Condition
    form: str
    action: Action
    kind: Kind
    purpose: Purpose
    topic: str | None
    trigger: Trigger
    steps: tuple[Step, ...]
    metric: Metric | None = None
    once: Once = Once()
    exits: tuple[Exit, ...] = ()
    # Share of contacts without mails, in hundredths of a percent, for comparison.
    holdout: int = 0
    variants: tuple[Variant, ...] = ()
    let: Mapping[str, Let] = field(default_factory=dict)
    objects: Mapping[str, ObjectBinding] = field(default_factory=dict)
    # The kind of entity that a run is about; None: none.
    entity: str | None = None
    # True: a run ends when its entity is closed or empty, and not only when it is reversed.
    while_open: bool = False
    # Former paths, the oldest first.
    was: tuple[str, ...] = ()
    # Of several mails that compete for one slot of a cap, the larger priority goes first.
    priority: int = 50
    # Time from the first instant that the mail's own schedule allows; after it the mail expires.
    valid_for: Duration = 3 * DAY
    # An event that was older than this when it arrived makes facts and starts nothing.
    horizon: Duration = 3 * DAY
    # The lane of its mails.
    lane: str = "main"
    # When the contact leaves the measure's stage on the same track: `stop` or `continue`.
    on_stage_change: Literal["stop", "continue"] = "stop"
    # When the track changes: None ends the run, else the path of the measure that continues its key.
    handover: str | None = None
    # A contact has at most one active series; a second one waits until it has ended.
    series: bool = False
    # False: no hold withholds it (renewal notices); consent and suppression still do.
    holdable: bool = True
    # The person asks for this very mail by the event that starts the run (`Playbook.requests`).
    asked_for: bool = False
    # Whether opens and clicks are recorded.
    tracking: bool = True
    # The address of its mails: the person's, or one that their request names (`domain.consent.requests`).
    to: Recipient = "person"
    # The sender of its mails: an owner, or `contact.FACT` that names one; "": the sender of its purpose.
    sender: str = ""
    # Where these people come from, as text for readers.
    audience_source: str = ""
    # Hash of the rules, not of the words; after a change contacts are judged again.
    rules_hash: str = ""
    # The measure's identity in runs, messages and memory: its oldest path.
    root: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        """Work out the identity once: it is read many times for each event."""
        object.__setattr__(self, "root", self.was[0] if self.was else self.path)

    @property
    def has_code(self) -> bool:
        """True when its mails carry a coupon code."""
        return any(isinstance(rule, LetCoupon) for rule in self.let.values())

    def step(self, step_id: str) -> Step | None:
        """Return the step with this id, or None when the measure has none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        return None

    def position(self, step_id: str) -> int | None:
        """Return the place (from 0) of the step with this id, or None."""
        for place, step in enumerate(self.steps):
            if step.id == step_id:
                return place
        return None
