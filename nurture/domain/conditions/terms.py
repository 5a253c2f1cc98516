"""Truth values, the terms and vocabulary of conditions, and the values that are read for one contact."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from nurture.domain.conditions.tables import Table
from nurture.domain.instant import Duration, Instant

TermType = Literal["bool", "integer", "decimal", "instant", "text", "set", "verdict", "window"]
Absent = Literal["unknown", "zero", "never", "empty", "no"]


_ABSENCES: Mapping[TermType, tuple[Absent, ...]] = {
    "bool": ("unknown", "no"),
    "integer": ("unknown", "zero"),
    "decimal": ("unknown", "zero"),
    "instant": ("unknown", "never"),
    "text": ("unknown", "empty"),
    "set": ("unknown", "empty"),
    "verdict": ("unknown",),
    "window": ("unknown", "zero", "empty"),
}


class Truth(Enum):
    """Yes, no or unknown, with Kleene's `&`, `|` and `~`. Only yes counts as true in an `if`."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        """Return whether the answer is yes; unknown must not act, so it is false."""
        return self is Truth.YES

    def __and__(self, other: "Truth") -> "Truth":
        """Return no if either is no, yes if both are yes, else unknown."""
        if self is Truth.NO or other is Truth.NO:
            return Truth.NO
        return Truth.YES if self is other is Truth.YES else Truth.UNKNOWN

    def __or__(self, other: "Truth") -> "Truth":
        """Return yes if either is yes, no if both are no, else unknown."""
        if self is Truth.YES or other is Truth.YES:
            return Truth.YES
        return Truth.NO if self is other is Truth.NO else Truth.UNKNOWN

    def __invert__(self) -> "Truth":
        """Return no for yes and yes for no; unknown stays unknown."""
        if self is Truth.UNKNOWN:
            return self
        return Truth.NO if self is Truth.YES else Truth.YES


@dataclass(frozen=True, slots=True)
class Term:
    """One name a condition may use, with the type of the value stored under it.

    Stored as JSON: bool; integer; decimal as value x 10^scale; instant in microseconds; text; set as a list
    of text; verdict as `yes`, `no` or `unknown`; window as an ascending list of instants, read as how many
    lie within `within` before now.
    """

    name: str
    type: TermType
    # The value that a missing one stands for; `empty` is the empty set, or the empty text.
    absent: Absent = "unknown"
    # Decimal digits kept; 0 but for decimals.
    scale: int = 0
    # The span of a window.
    within: Duration = 0
    # True for values that never shrink as events are folded (count, ever, max); stages may use only these.
    grows: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for an `absent` that the type has no value for, such as text that is absent as zero."""
        if self.absent not in _ABSENCES[self.type]:
            message = f"{self.name}: a missing {self.type} is {' or '.join(_ABSENCES[self.type])}, not {self.absent}"
            raise ValueError(message)


#: Names that every contact has. In SQL they are columns of `contacts`; otherwise the caller puts them into
#: `Reading.facts`.
BUILT_INS: Mapping[str, Term] = MappingProxyType(
    {
        **{name: Term(name, "text") for name in ("track", "stage", "locale", "zone", "lifecycle")},
        "first_seen_at": Term("first_seen_at", "instant"),
    }
)


@dataclass(frozen=True, slots=True)
class SegmentText:
    """A name for a condition, or a ladder of them, as written."""

    name: str
    # (name of the rung, condition), the first that is yes counts; a plain segment has one, without a name.
    rungs: tuple[tuple[str, str], ...]
    # The text of a ladder of which no rung is yes; None: unknown.
    otherwise: str | None = None
    is_ladder: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text that a ladder can have."""
        names = tuple(name for name, _ in self.rungs)
        return names if self.otherwise is None else (*names, self.otherwise)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a condition may use; `built_ins=False` leaves out track, stage ... (conditions on an event)."""

    terms: Mapping[str, Term] = field(default_factory=dict)
    built_ins: bool = True
    # Names that stand for conditions over these terms.
    segments: Mapping[str, SegmentText] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def term(self, name: str) -> Term | None:
        """Return the term of that name, or None."""
        return self.terms.get(name) or (BUILT_INS.get(name) if self.built_ins else None)

    def names(self) -> frozenset[str]:
        """Return every name of the vocabulary."""
        return (
            frozenset(self.terms)
            | (frozenset(BUILT_INS) if self.built_ins else frozenset())
            | set(self.segments)
        )

    def with_terms(self, more: Mapping[str, Term]) -> "Vocabulary":
        """Return a vocabulary with these terms added; they replace terms of the same name."""
        return replace(self, terms={**self.terms, **more})


@dataclass(slots=True)
class Reading:
    """The facts of one contact, the instant and the zone that a condition is evaluated for."""

    # Fact name -> stored value; a missing name or None is absent, a value of the wrong type is unknown.
    facts: Mapping[str, Any]
    now: Instant
    # IANA name of the contact's zone; local terms are unknown when there is no such zone.
    zone: str = "UTC"
