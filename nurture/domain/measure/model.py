"""A measure: one campaign as a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nurture.domain.conditions import Condition
from nurture.domain.instant import DAY, Duration
from nurture.domain.measure.fixed_values import Let, LetCoupon
from nurture.domain.measure.object_lists import ObjectBinding, ObjectList
from nurture.domain.measure.outline import Outline
from nurture.domain.measure.steps import Step
from nurture.domain.measure.triggers import Exit, Once, Trigger
from nurture.domain.measure.words import Kind, MessageTrack, Purpose


@dataclass(frozen=True, slots=True)
class Action:
    """The call to action: one of the playbook's kinds and its link, a template."""

    kind: str
    link: str


@dataclass(frozen=True, slots=True)
class Metric:
    """The event, or the entities, that show whether the measure works."""

    # "": entities show it.
    event: str
    within: Duration
    expect: str
    # The kind of entities that count and stand: how many people have one, or with `is_sum` their money per person.
    entity: str = ""
    is_sum: bool = False
    # True: less the value of the coupons that were used.
    is_net_of_incentive: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several templates for the same steps: files `<mail>@<name>.<locale>.mjml`; weights add to 100."""

    name: str
    weight: int
    # True: measurement ended it; its share falls to the others in equal parts.
    is_ended: bool = False


#: new_address, old_address: of the request whose number the run's event carries; the person's own without one.
Recipient = Literal["person", "new_address", "old_address"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One campaign. `path` is its name and its place: `lead/convert/abandoned_cart`."""

    path: str
    track: MessageTrack
    # A stage of the track, or `any`; of a place `ascend+`, ascend.
    stage: str
    goal: str
    audience: Condition
    form: str
    action: Action
    kind: Kind
    purpose: Purpose
    topic: str | None
    trigger: Trigger
    # In the order of the file; the steps of its cases follow a branch.
    steps: tuple[Step, ...]
    metric: Metric | None = None
    once: Once = Once()
    exits: tuple[Exit, ...] = ()
    # Share of contacts without mails, in hundredths of a percent, for comparison: the one in force now.
    holdout: int = 0
    # The share once the measure is shown to work; None: it stays.
    holdout_then: int | None = None
    # The trial of its experiment; another trial draws the arms anew.
    trial: int = 1
    # True: it is sent back, so nobody enters; people in flight finish.
    is_closed: bool = False
    variants: tuple[Variant, ...] = ()
    let: Mapping[str, Let] = field(default_factory=dict)
    objects: Mapping[str, ObjectBinding | ObjectList] = field(default_factory=dict)
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
    # Why it may sell in every stage of its track, as text for readers.
    early: str = ""
    # The measure of the other track with the same trigger, or `none: why`.
    other_track: str = ""
    # The stages after `stage` that a place `ascend+` serves too.
    later_stages: frozenset[str] = frozenset()
    # Hash of the rules, not of the words; after a change contacts are judged again.
    rules_hash: str = ""
    # The measure's identity in runs, messages and memory: its oldest path.
    root: str = field(init=False, compare=False, default="")
    # The order of its steps.
    outline: Outline = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Work out the identity and the order of the steps once: they are read many times for each event."""
        object.__setattr__(self, "root", self.was[0] if self.was else self.path)
        object.__setattr__(self, "outline", Outline.of(self.steps))

    @property
    def draw(self) -> str:
        """Return the key by which arms are drawn: the identity, with the number of a trial after the first."""
        return self.root if self.trial == 1 else f"{self.root}#{self.trial}"

    def fits_stage(self, stage: str) -> bool:
        """Tell whether the measure is for contacts in this stage of its track."""
        return self.stage in ("any", stage) or stage in self.later_stages

    @property
    def place(self) -> str:
        """Return the stages that it is for: `any`, `ascend`, or `ascend+` for that one and later ones."""
        return f"{self.stage}+" if self.later_stages else self.stage

    @property
    def has_code(self) -> bool:
        """True when its mails carry a coupon code."""
        return any(isinstance(rule, LetCoupon) for rule in self.let.values())

    @property
    def lists(self) -> Mapping[str, ObjectList]:
        """Return the lists among its objects, by name."""
        return {name: rule for name, rule in self.objects.items() if isinstance(rule, ObjectList)}

    def step(self, step_id: str) -> Step | None:
        """Return the step with this id, or None when the measure has none."""
        place = self.outline.places.get(step_id)
        return None if place is None else self.steps[place]

    def position(self, step_id: str) -> int | None:
        """Return the place (from 0) of the step with this id, or None."""
        return self.outline.places.get(step_id)
