"""A playbook: the whole programme as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from nurture.domain.conditions import Table, Vocabulary
from nurture.domain.instant import HOUR, Duration
from nurture.domain.measure import LocalSlot, Measure
from nurture.domain.moments import MomentRule
from nurture.domain.owners import Owner
from nurture.domain.playbook.accounts import AccountRules
from nurture.domain.playbook.entities import EntityKind
from nurture.domain.playbook.facts import EventMatch, Fact, RhythmFact
from nurture.domain.playbook.limits import Cap, Hold, Offer, ProgrammeHoldout, QuietHours, Topic
from nurture.domain.playbook.objects import ObjectKind
from nurture.domain.playbook.places import Conversion, Milestone, Persona, Stage, Touchpoint
from nurture.domain.playbook.published_values import PublishedValue, PublishedVersions
from nurture.domain.playbook.segments import Segment


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
    segments: Mapping[str, Segment] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    # Values that are computed elsewhere; those of contacts are facts too.
    values: Mapping[str, PublishedValue] = field(default_factory=dict)
    # The numbers published so far that folds read; they come from the database and not from the files.
    published: PublishedVersions = field(default_factory=PublishedVersions)
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
    # Kind of call to action -> currency -> the highest price of what its mails may sell.
    price_bounds: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    # People of the house, by the name that holds, cases and senders use.
    owners: Mapping[str, Owner] = field(default_factory=dict)
    # Named days of the calendar.
    moments: Mapping[str, MomentRule] = field(default_factory=dict)
    # None: people of one company are strangers to each other.
    accounts: AccountRules | None = None
    # None: everybody gets marketing.
    holdout: ProgrammeHoldout | None = None
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

    @cached_property
    def intervals_read(self) -> frozenset[str]:
        """Return the published values that rhythms and supplies read."""
        intervals = [fact.usual for fact in self.facts.values() if isinstance(fact, RhythmFact)]
        intervals += [kind.due.usual for kind in self.entities.values() if kind.due is not None]
        return frozenset(usual.value for usual in intervals if not isinstance(usual, int) and usual.value)

    def stages_of(self, track: str) -> tuple[Stage, ...]:
        """Return the track's stages in order."""
        return tuple(stage for stage in self.stages if stage.track == track)
