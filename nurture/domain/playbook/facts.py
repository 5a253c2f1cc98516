"""Facts: what is folded out of a contact's events, entities and traits."""

from dataclasses import dataclass
from typing import Literal

from nurture.domain.conditions import Condition, Table
from nurture.domain.instant import Duration
from nurture.domain.playbook.published_values import Bands, UsualInterval

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
    band         the band of the number published last (`BandFact`)
    window       instants of events within `within`, newest `keep`; reads as their count at `now`
    ever         true once `at_least` events fell within one span of `within`
    """

    name: str
    fold: Literal["count", "sum", "min", "max", "first", "last", "latest", "set", "window", "ever", "band"]
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
class BandFact(FoldFact):
    """The band of a published value of contacts; unknown before its first publication."""

    bands: Bands = ()

    @property
    def texts(self) -> frozenset[str]:
        """Return the names of the bands."""
        return frozenset(name for name, _ in self.bands)


@dataclass(frozen=True, slots=True)
class TraitFact:
    """The newest value of a trait; unknown before the first value."""

    name: str
    trait: str
    type: FactType
    scale: int = 2


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
    # The text of people without any evidence, or the table that gives it; None: unknown.
    otherwise: str | Table | None = None

    @property
    def texts(self) -> frozenset[str]:
        """Return every text that the label can have."""
        return frozenset(evidence.text for evidence in self.evidence)

    @property
    def default_texts(self) -> frozenset[str]:
        """Return every text that people without evidence can have."""
        if isinstance(self.otherwise, Table):
            values = (*self.otherwise.rows.values(), self.otherwise.otherwise)
            return frozenset(value for value in values if isinstance(value, str))
        return frozenset() if self.otherwise is None else frozenset({self.otherwise})


@dataclass(frozen=True, slots=True)
class RhythmFact:
    """The instant by which a person has been silent for `times` their own usual interval; unknown without an entity."""

    name: str
    over: tuple[EntityMatch, ...]
    times: int
    usual: Duration | UsualInterval
    weight: int


Fact = FoldFact | TraitFact | VerdictFact | LabelFact | RhythmFact
