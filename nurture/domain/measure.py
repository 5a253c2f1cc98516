"""Measures: one campaign each, with its goal, audience, form and call to action, its trigger and its steps.

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
    """An open entity (a cart, a quote) that nobody touched for this long. The run key is the entity's key."""

    entity: str
    quiet: Duration


@dataclass(frozen=True, slots=True)
class OnMilestone:
    """A milestone reached."""

    milestone: str


@dataclass(frozen=True, slots=True)
class OnStage:
    """A stage entered (on this measure's track)."""

    stage: str


@dataclass(frozen=True, slots=True)
class OnDate:
    """A date fact plus an offset; `yearly` for anniversaries, at a local time of day.

    29 February falls on 28 February in other years. A fact that moves while waiting moves the instant.
    """

    fact: str
    offset: Duration = 0
    yearly: bool = False
    minute_of_day: int | None = None


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """A local time on weekdays or on a day of the month, for everybody in the audience."""

    slot: LocalSlot


@dataclass(frozen=True, slots=True)
class OnObject:
    """An object's event (a product back in stock), for the contacts that watch the object."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnCondition:
    """The audience's answer turning from no or unknown to yes."""


@dataclass(frozen=True, slots=True)
class OnOps:
    """Only when ops say so: `nurture send`."""


Trigger = OnEvent | OnQuiet | OnMilestone | OnStage | OnDate | OnSchedule | OnObject | OnCondition | OnOps


@dataclass(frozen=True, slots=True)
class Once:
    """How often a contact may have a run, and what its key is.

    per: `contact` (key is ""), `event` (the event's message id), `year`, `month` or `day` (local calendar),
    or the name of a property of the triggering event / entity (its value is the key).
    """

    per: str = "contact"
    # The least time between the starts of two runs of this measure, whatever their keys.
    gap: Duration = 0
    # With per contact: enter again when the last run started at least this long ago (keys "", "2", "3" ...).
    again_after: Duration | None = None
    # Events (with the same key) upon which a new generation replaces the active or ended run: `KEY#2` ...
    again_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """An event that ends the run at once, also with its mail queued."""

    event: str
    # The event property that must equal the run's entity key; None: any such event.
    key: str | None = None
    # Reason kept on the run: `converted`, `cancelled`, ... ; by default `exit`.
    reason: str = "exit"


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
    # The zone the times are shown in; None: the contact's.
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class MailStep:
    """Decide one mail. `when` (facts, entity, let; newest state) false or unknown skips to the next step."""

    id: str
    # The template's name: files `<mail>.<locale>.mjml` and `<mail>.<locale>.txt`.
    mail: str
    when: Condition | None = None
    send_at: LocalSlot | None = None
    # Overrides the measure's valid_for.
    valid_for: Duration | None = None
    calendar: Calendar | None = None
    # Judged by the guard in the sending transaction, with the bound objects read anew; not yes = skip.
    send_if: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait a duration from the end of the step before."""

    id: str
    duration: Duration
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilSlot:
    """Wait until the next such local time, after at least `at_least`."""

    id: str
    slot: LocalSlot
    at_least: Duration = 0
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilEvent:
    """Wait until one of these events (with the run's entity key, where `key` names a property), or a time."""

    id: str
    names: tuple[str, ...]
    at_most: Duration
    key: str | None = None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class WaitUntilDate:
    """Wait until a date ± offset: a fact, or `entity.field` of the run's entity. Follows the date as it moves.

    A date already past is waited for no longer; a date unknown ends the run with reason `date_unknown`.
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
    """A code minted once per run from a named offer of the playbook."""

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


Let = LetCoupon | LetEndOfMonth | LetIn


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
    # Hundredths of a percent kept back to measure the effect.
    holdout: int = 0
    variants: tuple[Variant, ...] = ()
    let: Mapping[str, Let] = field(default_factory=dict)
    objects: Mapping[str, ObjectBinding] = field(default_factory=dict)
    # The entity (a name in facts) whose key is the run's; None: the run has no entity.
    entity: str | None = None
    # Larger goes first when several compete for one slot.
    priority: int = 50
    # From the first instant the mail's own schedule allowed; later it is dropped as expired.
    valid_for: Duration = 3 * DAY
    # An event that was older than this when it arrived makes facts and starts nothing.
    horizon: Duration = 3 * DAY
    # The lane it leaves through.
    lane: str = "main"
    # When the contact leaves the measure's stage on the same track: `stop` or `continue`.
    on_stage_change: Literal["stop", "continue"] = "stop"
    # When the track changes: stop, or the path of the measure that takes over with this run's key.
    handover: str | None = None
    # At most one active series per contact; a second one waits its turn.
    series: bool = False
    # False: held by no hold (renewal notices), still by consent and suppression.
    holdable: bool = True
    # Opens and clicks are recorded.
    tracking: bool = True
    # Where its mails go: to the person, or to the address that a request of theirs names (`domain.consent.requests`).
    to: Recipient = "person"
    # Where these people come from, in words.
    audience_source: str = ""
    # Hash of what decides (not of words); a change makes people be judged anew.
    rules_hash: str = ""

    def step(self, step_id: str) -> Step | None:
        """Return the step of that id, or None when the playbook no longer has it."""
        for step in self.steps:
            if step.id == step_id:
                return step
        return None

    def position(self, step_id: str) -> int | None:
        """Return the place (from 0) of the step of that id."""
        for place, step in enumerate(self.steps):
            if step.id == step_id:
                return place
        return None
