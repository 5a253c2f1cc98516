"""Published values: figures that are computed elsewhere and handed in with a version.

A value of contacts is a number, and its band is a fact. A value by key is one number for each category, product or
piece; folds read the version that was in force when their event occurred.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nurture.domain.conditions import Table
from nurture.domain.instant import DAY, WEEK, Duration, Instant

#: Band -> the number from which on it holds, in millionths, ascending.
Bands = tuple[tuple[str, int], ...]
#: `of` of a value of contacts.
CONTACT = "contact"
#: The models of this release, and how far ahead each forecasts unless the playbook says otherwise.
MODEL_HORIZONS: Final[Mapping[str, Duration]] = {"churn": 13 * WEEK, "value": 39 * WEEK, "score": 4 * WEEK}


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """A value that `nurture values publish` hands in."""

    name: str
    # `contact`, or the property whose text is the key.
    of: str
    # Of a value of contacts.
    bands: Bands = ()
    # So far beyond the edge of a band a number counts at once, in millionths.
    margin: int = 0
    # A newer version is expected within this; 0: at no certain time.
    refresh: Duration = 0
    # Of a value by key that is an interval: the interval of keys without a version in force.
    otherwise: Duration | Table | None = None
    # Of a value of contacts: the model that computes it, and how far ahead; "": its numbers are handed in.
    model: str = ""
    horizon: Duration = 0

    @property
    def is_of_contacts(self) -> bool:
        """Tell whether each contact has a number of its own."""
        return self.of == CONTACT


@dataclass(frozen=True, slots=True)
class UsualInterval:
    """The usual interval between purchases, by what was bought: published, or of a table."""

    # The property whose text is the key.
    by: str
    # The published value, a number of days; "": there is none.
    value: str
    # Where no version is in force.
    otherwise: Duration | Table

    @property
    def properties(self) -> tuple[str, ...]:
        """Return the properties by which it looks up, each once."""
        table = "" if isinstance(self.otherwise, int) else self.otherwise.property_name
        return tuple(name for name in dict.fromkeys((self.by if self.value else "", table)) if name)


@dataclass(frozen=True, eq=False, slots=True)
class PublishedVersions:
    """The published numbers of values by key, with the instants from which they are in force.

    Numbers are only ever added, and hold from an instant after they were stored: whoever folds an event at its
    instant, or again later, reads the same one.
    """

    # (value, key) -> (in force from, number; None: taken back), ascending.
    numbers: Mapping[tuple[str, str], Sequence[tuple[Instant, int | None]]] = field(default_factory=dict)

    def in_force(self, name: str, key: str, at: Instant) -> int | None:
        """Return the number of a key that was in force at an instant; None for none."""
        numbers = self.numbers.get((name, key), ())
        place = bisect_right(numbers, at, key=lambda row: row[0])
        return numbers[place - 1][1] if place else None

    def interval(self, name: str, key: str, at: Instant) -> Duration | None:
        """Return the same as an interval: the number is one of days."""
        number = self.in_force(name, key, at)
        return None if number is None or number <= 0 else number * DAY // 1_000_000
