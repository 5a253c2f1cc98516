"""The state of a contact: everything that `advance` reads and writes about one person.

`facts` holds what conditions read (SQL reads the same JSON document), `memory` what folds and triggers need besides.
Instants are microseconds.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from nurture.domain.instant import FOREVER, Instant
from nurture.domain.measure import StepOutcome, StepPath, Track
from nurture.domain.measure.planned_actions import PlannedAction
from nurture.domain.memory import Memory
from nurture.domain.message import PlannedMessage

RunStatus = Literal["active", "done", "stopped", "cancelled"]


#: Values of a memory that only a later version knows: path of the part -> key -> value. They are kept, never read.
UnknownMemory = Mapping[tuple[str, ...], Mapping[str, Any]]


class PersonRequest(NamedTuple):
    """The event by which the person asked for the mail of a run: its name, when it occurred, whether it is proven."""

    event: str
    at: Instant
    # False: a browser key told it, and anybody can use that.
    is_proven: bool


@dataclass(slots=True)
class RunOrigin:
    """The event or alarm that started a run. Mails may quote its properties."""

    # Name of the event, or `quiet`, `condition`, `schedule`, `date:FACT`, `date:ENTITY.FIELD`.
    event: str = ""
    # When it occurred.
    occurred_at: Instant = 0
    properties: dict[str, Any] = field(default_factory=dict)
    # How many runs for the same key the measure began before this one.
    generation: int = 0
    # Request id of an ops send.
    request: str | None = None
    # The earliest instant at which ops allow its mail to leave.
    send_at: Instant | None = None
    # The person's request that started the run; None: none did.
    asked: PersonRequest | None = None
    # How many events of measures led to it, one after the other.
    depth: int = 0
    # The number of that event (`Event.seq`); 0 for an alarm.
    number: int = 0


@dataclass(slots=True)
class Run:
    """One contact in one measure for one key.

    status: `active`; `done` all steps passed; `stopped` an exit, stage or track change or unknown date ended
    it (reason); `cancelled` merged, superseded, ops or measure gone (reason).
    """

    # The measure's identity (`Measure.root`).
    measure: str
    # How often: the value that `once` asks for, with `#2` and so on for a further run of the same value.
    key: str
    # About what: the key of the entity, by the trigger and never by `once`; "" for none.
    entity_key: str
    track: Track
    started_at: Instant
    # The step it stands at, and since when.
    step: str
    step_since: Instant
    status: RunStatus = "active"
    reason: str = ""
    ended_at: Instant | None = None
    # When the step next needs attention; FOREVER: only an event or a settled message moves it.
    due_at: Instant = FOREVER
    # True while the step's message is decided and not settled.
    mailing: bool = False
    holdout: bool = False
    variant: str = ""
    # Ids of the mail steps decided so far, in order: what `planned` is counted from.
    decided: list[str] = field(default_factory=list)
    # Values fixed when the first mail passed the guard.
    let: dict[str, Any] = field(default_factory=dict)
    origin: RunOrigin = field(default_factory=RunOrigin)
    # The place (from 0) of its step among the measure's steps when it got there.
    position: int = 0
    # The same in its own list and among branches; None: no branch is around it, and `position` says it.
    path: StepPath | None = None
    # Id of each wait and mail that ended -> how.
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)
    # Ids of the actions decided so far, in order.
    acted: list[str] = field(default_factory=list)
    # True while another series runs and this one waits for its turn.
    queued: bool = False
    # The kind of the entity; "" for none.
    entity: str = ""
    # The identity of the measure in which it began: a hand-over keeps it.
    began_as: str = ""
    # Ids of the mail steps that it decided before a hand-over; they are not decided again.
    passed: tuple[str, ...] = ()
    # The contact with whom it began, also after a merge; 0 until stored.
    contact_id: int = 0
    # Stored values that this version does not know.
    unknown: dict[str, Any] = field(default_factory=dict)
    # The rules hash under which it last moved.
    rules_hash: str = ""
    # Database id; 0 until stored.
    id: int = 0

    def public_id(self, contact_id: int) -> str:
        """Return an id of the run that says nothing about the person, the same in a hand-over and after a merge.

        contact_id: the contact that has the run now.
        """
        text = "\x1f".join((str(self.contact_id or contact_id), self.began_as or self.measure, self.key))
        return blake2b(text.encode(), digest_size=10).hexdigest()

    @property
    def actions(self) -> int:
        """Return how many actions it has decided."""
        return len(self.acted)

    @property
    def once_value(self) -> str:
        """Return the value that `once` asked for: the key without its generation, or the request that repeated it."""
        if self.origin.generation:
            return self.key.rpartition("#")[0]
        if self.key.endswith("#1"):
            # The first run of a value that looks like a further run of another one.
            return self.key.removesuffix("#1")
        return self.key.removesuffix(f"#ops:{self.origin.request}") if self.origin.request else self.key


@dataclass(slots=True)
class Contact:
    """The state of one contact. `advance` changes a copy unless it is told `in_place`."""

    id: int
    track: Track
    stage: str
    first_seen_at: Instant
    # IANA zone and BCP 47 locale, None until known.
    zone: str | None = None
    locale: str | None = None
    # Facts that conditions read: fact name -> bool, int, str, list. Keys with a colon are event facts (`last:NAME`).
    facts: dict[str, Any] = field(default_factory=dict)
    # Further state of folds and triggers.
    memory: Memory = field(default_factory=Memory)
    unknown_memory: UnknownMemory = field(default_factory=dict)
    # Active runs by (measure, key).
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    stage_since: Instant = 0
    track_since: Instant = 0
    # The latest effective time folded; happenings never go behind it.
    clock: Instant = 0
    wake_at: Instant = FOREVER
    # Raised by every change, also by consent and suppression; the send gate compares it.
    version: int = 0
    # rules_hash of the playbook whose baseline the contact has taken.
    adopted: str = ""
    # Identity of a measure -> when a mail of it left last, of the measures that conditions ask for; not stored here.
    sent: dict[str, Instant] = field(default_factory=dict)
    # (id, JSON text of the memory) as stored, so that an unchanged memory is not written again; None: no row.
    stored: tuple[int, str] | None = field(default=None, compare=False, repr=False)

    def copy(self) -> "Contact":
        """Return a deep copy that shares nothing with this one."""
        return copy.deepcopy(self)


@dataclass(slots=True)
class Transition:
    """A change of track or stage, with its evidence."""

    kind: Literal["track", "stage"]
    before: str
    after: str
    # occurred_at of the evidence.
    at: Instant
    # When it was noticed.
    noticed_at: Instant
    evidence: str
    # False: a reversal took the evidence of the stage away; it starts no measure.
    is_forward: bool = True


@dataclass(slots=True)
class MilestoneReached:
    """A milestone, celebrated once per key."""

    name: str
    key: str
    at: Instant


@dataclass(frozen=True, slots=True)
class WatchChange:
    """The contact starts or stops watching an object, or starts anew."""

    # The id of the list: the kind, or `KIND/LIST`.
    kind: str
    key: str
    at: Instant
    is_start: bool


@dataclass(frozen=True, slots=True)
class WatchedLines:
    """All that the contact watches on a list over lines of entities: key of the object -> since."""

    # The list's id.
    kind: str
    since: Mapping[str, Instant]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Messages stored before this batch and not yet on the wire are cancelled.

    run_key None: those of every run of the measure, with `entity` of every run about that entity, ended runs too.
    The store applies these before it inserts new messages.
    """

    measure: str
    run_key: str | None
    reason: str
    at: Instant
    # Kind and key of the entity; "" for none.
    entity: str = ""
    entity_key: str = ""
    # With `entity`: only runs that an event of this name began; "" for all.
    begun_by: str = ""

    def covers(self, message: PlannedMessage, runs: Mapping[tuple[str, str], Run]) -> bool:
        """Tell whether a planned message is cancelled. runs: the runs of the same advance by (measure, key)."""
        if message.cancelled or message.measure != self.measure:
            return False
        if self.entity:
            run = runs.get((message.measure, message.run_key))
            return run is not None and self.is_about(run)
        return self.run_key in (None, message.run_key)

    def is_about(self, run: Run) -> bool:
        """Tell whether the run is about the entity, and begun by an event of that name where one is meant."""
        is_about_it = (run.entity, run.entity_key) == (self.entity, self.entity_key)
        return is_about_it and self.begun_by in ("", run.origin.event)


@dataclass(frozen=True, slots=True)
class NonEntry:
    """A trigger that fired and did not start a run, with the reason: kept for `contact why`."""

    measure: str
    at: Instant
    reason: str
    detail: str = ""
    # The request id of the send whose event it was, else None.
    request: str | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A measure whose rules failed for this contact; it decides nothing more until the next publish."""

    measure: str
    at: Instant
    # Type and words of the error.
    reason: str
    # Name of the event that was applied; "" for an alarm.
    event: str


@dataclass(slots=True)
class Advance:
    """The decisions of one `advance`; `contacts.save_queries.save` writes all of them in one transaction."""

    contact: Contact
    transitions: list[Transition] = field(default_factory=list)
    milestones: list[MilestoneReached] = field(default_factory=list)
    # Runs created, moved or ended, by (measure, key), in their last state.
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    messages: list[PlannedMessage] = field(default_factory=list)
    actions: list[PlannedAction] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    watches: list[WatchChange] = field(default_factory=list)
    # Lists over lines that changed, as they are now; of one list the last counts.
    watched_lines: list[WatchedLines] = field(default_factory=list)
    non_entries: list[NonEntry] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    # Measures that were set aside before and are tried again.
    retried: list[str] = field(default_factory=list)
    # False: no event was applied, so facts, track, stage, zone and locale are unchanged.
    events_applied: bool = True
