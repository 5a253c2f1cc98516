"""The playbook: the whole programme as frozen values, by which `advance` and the guard decide.

`nurture.playbook` builds it from a folder, or from the database where it was published.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nurture.domain.conditions import Condition, Vocabulary
from nurture.domain.instant import DAY, HOUR, Duration
from nurture.domain.measure import LocalSlot, Measure, Purpose, Track
from nurture.domain.owners import Owner

#: `date` is kept as text, `MM-DD` or `YYYY-MM-DD`, and reads as text.
FactType = Literal["bool", "integer", "decimal", "instant", "text", "date", "set", "verdict", "window"]


@dataclass(frozen=True, slots=True)
class EventMatch:
    """Events of these names for whose properties `where` holds."""

    names: tuple[str, ...]
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class EntityMatch:
    """Entities of a kind, or their lines, for whose fields `where` holds; each key once, net of its reversal."""

    kind: str
    lines: bool = False
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class FoldFact:
    """A fact folded from the events of `of`, or from the entities of `over`; a fact never has both.

    count        integer, 0 at first            sum, min, max   of `property`; sum 0, others unknown at first
    first, last  instant of the event; never    latest          value of `property` of the newest event
    set          the distinct values of `property`, newest `keep`
    window       instants of events within `within`, newest `keep`; reads as their count at `now`
    ever         true once `at_least` events fell within one span of `within`
    """

    name: str
    fold: Literal["count", "sum", "min", "max", "first", "last", "latest", "set", "window", "ever"]
    type: FactType
    of: tuple[EventMatch, ...]
    property: str | None = None
    # Decimal digits kept of a decimal (money: 2); the stored value is an integer.
    scale: int = 2
    within: Duration = 0
    at_least: int = 1
    keep: int = 100
    over: tuple[EntityMatch, ...] = ()
    # True: the values are the amounts of entities or lines; they are kept per currency.
    money: bool = False
    # Of a sum of decimals over events: an amount whose event names another currency is not added. "": all are.
    currency: str = ""


@dataclass(frozen=True, slots=True)
class TraitFact:
    """The newest value of a trait; unknown before the first value."""

    name: str
    trait: str
    type: FactType
    scale: int = 2


@dataclass(frozen=True, slots=True)
class LineRule:
    """The keyed list inside an entity: the goods of a cart or of an order."""

    # Properties that identify a line: the first one that the line has.
    keys: tuple[str, ...]
    # The property of the entity's events that holds the list (`products`); "": lines come one by one.
    source: str = ""
    # Events that add one line and that remove one.
    added_by: tuple[str, ...] = ()
    removed_by: tuple[str, ...] = ()
    # Kinds whose counted entities take their lines out of this list: what was bought is in no cart any more.
    removed_by_kinds: tuple[str, ...] = ()

    @property
    def may_shrink(self) -> bool:
        """Tell whether lines come and go one by one, so that an entity without lines is empty."""
        return bool(self.added_by or self.removed_by or self.removed_by_kinds)


@dataclass(frozen=True, slots=True)
class Reversal:
    """Events that take an entity back: in full, or by the amount that they name."""

    match: EventMatch
    # None: in full.
    amount: str | None = None
    # The property that identifies a refund, so that one told twice counts once; None: the message id.
    key: str | None = None


@dataclass(frozen=True, slots=True)
class DueRule:
    """When a line is needed again: after the person's own interval, drawn toward the usual one."""

    usual: Duration
    # How many intervals of the person's own the usual one weighs.
    weight: int


@dataclass(frozen=True, slots=True)
class EntityKind:
    """Things of a contact that have a key and open and close: carts, orders, appointments, cases.

    Events of `of` open and update it; each property of such an event becomes a field (newest occurred_at wins). Closed
    ones are kept for `remember`. Scalars: `NAME.open`, `NAME.ever` (that count and stand), `NAME.last_at`.
    """

    name: str
    # Properties that hold its key: the first one that the event has.
    keys: tuple[str, ...]
    of: tuple[EventMatch, ...] = ()
    # The events that make it count; none: every one of `of`.
    counts_from: tuple[EventMatch, ...] = ()
    # The property that holds its amount.
    amount: str | None = None
    # Event name -> `key` (of that key; without one every entity last updated before the event) or `all`.
    closed_by: Mapping[str, Literal["key", "all"]] = field(default_factory=dict)
    # `restored_by` takes a reversal in full back.
    reversed_by: tuple[Reversal, ...] = ()
    restored_by: tuple[EventMatch, ...] = ()
    # The kind that it is a part of, and the properties that hold that one's key.
    within: str = ""
    parent_keys: tuple[str, ...] = ()
    lines: LineRule | None = None
    # The kind whose lines are its events (`of: order.lines`), "" for none; `due` is for those.
    lines_of: str = ""
    due: DueRule | None = None
    keep: int = 20
    remember: Duration = 30 * DAY

    @property
    def key(self) -> str:
        """Return the first property that holds its key."""
        return self.keys[0]


@dataclass(frozen=True, slots=True)
class VerdictFact:
    """A three-valued fact: the newest sign decides; no sign at all is unknown; an open `no` entity blocks yes."""

    name: str
    yes: tuple[EventMatch, ...]
    no: tuple[EventMatch, ...]
    # Names of entities (cases) of which an open one means `no`.
    open_no: tuple[str, ...] = ()
    yes_over: tuple[EntityMatch, ...] = ()
    no_over: tuple[EntityMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """Events that speak for one text of a label, with a strength from 1 to 8."""

    match: EventMatch
    text: str
    strength: int = 1


@dataclass(frozen=True, slots=True)
class LabelFact:
    """One text out of several: the strongest evidence decides, of equal strength the newest."""

    name: str
    evidence: tuple[LabelEvidence, ...]
    # The text of people without any evidence; None: unknown.
    otherwise: str | None = None

    @property
    def texts(self) -> frozenset[str]:
        """Return every text that the label can have."""
        return frozenset(evidence.text for evidence in self.evidence)


@dataclass(frozen=True, slots=True)
class RhythmFact:
    """The instant by which a person has been silent for `times` their own usual interval; unknown without an entity."""

    name: str
    over: tuple[EntityMatch, ...]
    times: int
    usual: Duration
    weight: int


Fact = FoldFact | TraitFact | VerdictFact | LabelFact | RhythmFact


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a track; `when` uses only facts that grow. Order in the playbook is the order of stages."""

    name: str
    track: Track
    when: Condition
    # Kinds of call to action that measures of this stage may make.
    may_ask: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The events and entities that make a lead a customer, and the events that reverse it."""

    # A converting event, keyed by the property `key` (order_id).
    by: tuple[EventMatch, ...]
    key: str
    # Events with the same key that reverse it in full.
    reversed_by: tuple[EventMatch, ...] = ()
    # The hold put on when a conversion is reversed.
    hold: str | None = None
    # Entities that convert while they count and are not reversed.
    over: tuple[EntityMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Milestone:
    """A dated fact, celebrated once per `per`: contact, year, entity, or a property of the event."""

    name: str
    of: EventMatch
    # `entity`, or a property that holds the entity's key: once per entity of `over`.
    per: str = "contact"
    # Only the n-th such event or entity (2 = second order); None: every one.
    nth: int | None = None
    # Counted and standing entities instead of events; `of` then has no names.
    over: tuple[EntityMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """A named reason to withhold mail of some purposes, with an end and an owner."""

    name: str
    stops: frozenset[Purpose]
    owner: str
    at_most: Duration
    starts: tuple[EventMatch, ...] = ()
    ends: tuple[EventMatch, ...] = ()
    # The property that ties an end to its start (case_id); None: any end ends all.
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A subject of mail that a person may consent to; the playbook's strings name it in each locale."""

    name: str
    # True: counts only after the person confirmed by the link.
    double_opt_in: bool = True


@dataclass(frozen=True, slots=True)
class Cap:
    """The largest number of runs that write within a sliding window, and the least time between two (`gap`)."""

    name: str
    purposes: frozenset[Purpose]
    at_most: int
    within: Duration
    gap: Duration = 0
    # `runs`: a run takes one slot, which lasts `within` from its last mail. `mails`: each mail takes one.
    count: Literal["runs", "mails"] = "runs"
    # Only mails that carry a coupon code.
    codes_only: bool = False


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of thing without a person: products, articles, webinars; facts are the newest properties of its events."""

    kind: str
    # The property that names it: `product_id`.
    key: str
    # Events that change it (with or without a person).
    of: tuple[str, ...]
    # Contact events that start and end watching.
    watched_from: tuple[str, ...] = ()
    watched_until: tuple[str, ...] = ()
    # Events on which the watchers are woken.
    wakes: tuple[str, ...] = ()
    # The longest time that a contact waits.
    watch_for: Duration = 180 * DAY


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """A named kind of event, with its channel."""

    name: str
    channel: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Persona:
    """A buyer's role, inferred from events; the newest match wins."""

    name: str
    of: tuple[EventMatch, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A named offer under which coupon codes are created."""

    name: str
    percent: int
    prefix: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local minutes of the day between which only mail of the exempt purposes leaves; may span midnight."""

    start: int = 21 * 60
    end: int = 8 * 60
    exempt: frozenset[Purpose] = frozenset({"transactional"})


class Measures(dict[str, Measure]):
    """Measures by path; a former path finds its measure too, and is not listed."""

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        super().__init__(measures)
        self._former = {path: measure for measure in measures.values() for path in measure.was}

    def __missing__(self, path: str) -> Measure:
        """Return the measure that had this path."""
        return self._former[path]

    def get(self, path: str, default: Any = None) -> Any:
        """Return the measure that has, or had, this path."""
        return super().get(path) or self._former.get(path, default)


@dataclass(frozen=True, eq=False)
class Playbook:
    """The whole programme; mappings are by name, `measures` by path. Compared and hashed by identity."""

    name: str
    brand: Mapping[str, Any]
    # Sender per purpose or `default`: {"name": ..., "address": ..., "reply_to": ...}.
    senders: Mapping[str, Mapping[str, str]]
    locales: tuple[str, ...]
    default_locale: str
    default_zone: str
    facts: Mapping[str, Fact]
    stages: tuple[Stage, ...]
    conversion: Conversion
    measures: Mapping[str, Measure]
    vocabulary: Vocabulary
    entities: Mapping[str, EntityKind] = field(default_factory=dict)
    # The currencies of the brand; amounts in any other one are never added. (): no currency is asked for.
    currencies: tuple[str, ...] = ()
    # Types of event properties, for `where` and for `event.NAME` in a step's `when`.
    properties: Vocabulary = field(default_factory=lambda: Vocabulary({}))
    milestones: tuple[Milestone, ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    # Events by which a person asks for one certain mail.
    requests: tuple[EventMatch, ...] = ()
    objects: Mapping[str, ObjectKind] = field(default_factory=dict)
    touchpoints: tuple[Touchpoint, ...] = ()
    personas: tuple[Persona, ...] = ()
    offers: Mapping[str, Offer] = field(default_factory=dict)
    # People of the house, by the name that holds, cases and senders use.
    owners: Mapping[str, Owner] = field(default_factory=dict)
    quiet_hours: QuietHours = QuietHours()
    default_slot: LocalSlot = field(default_factory=lambda: LocalSlot(10 * 60))  # it counts in `rules_hash`
    # The time ahead in which due mails of a contact compete for one slot of a cap.
    arbitration: Duration = 4 * HOUR
    # Treatment, by a publish, of people for whom a condition trigger already holds: `none` takes their answer as
    # baseline, `enter` lets them in.
    backlog: Literal["none", "enter"] = "none"
    # Hash of all rules and hash of all words; see docs/playbook.md.
    rules_hash: str = ""
    content_hash: str = ""

    def __post_init__(self) -> None:
        """Let former paths find their measures."""
        if any(measure.was for measure in self.measures.values()):
            object.__setattr__(self, "measures", Measures(self.measures))

    def stages_of(self, track: str) -> tuple[Stage, ...]:
        """Return the track's stages in order."""
        return tuple(stage for stage in self.stages if stage.track == track)
