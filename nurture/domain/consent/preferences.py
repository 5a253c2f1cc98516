"""A person's preferences for all marketing mail: less often, not before a date, without counting opens and clicks.

A preference is a number of its kind, and a larger number is stricter, so the same fold serves all three:

| kind | value | no preference |
|---|---|---|
| `often` | least time between two marketing mails, a duration | 0 |
| `pause` | no marketing mail before this instant | 0 |
| `tracking` | 1: links are not counted and no picture is loaded | 0 |

The newest row of a kind decides; `domain.consent.merges` describes how two merged contacts are read together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.consent.merges import ContactMerge, fold_family
from nurture.domain.instant import DAY, Duration, Instant
from nurture.domain.measure import MARKETING
from nurture.domain.playbook import Cap

PreferenceKind = Literal["often", "pause", "tracking"]

#: The choices of "less often": as the programme has it (0), or at most one marketing mail in so long.
GAPS: Final[tuple[Duration, ...]] = (0, 7 * DAY, 14 * DAY, 30 * DAY)
#: The gap that the unsubscribe page offers instead of no mail at all.
LESS_OFTEN_GAP: Final[Duration] = GAPS[-1]
#: The longest pause.
PAUSE_MAX: Final[Duration] = 366 * DAY


@dataclass(frozen=True, slots=True)
class Preference:
    """One row: this contact asked for this value of a kind."""

    contact_id: int
    kind: PreferenceKind
    value: int
    at: Instant
    # The order in which rows were written; decides between rows of one instant.
    id: int = 0

    @property
    def strictness(self) -> int:
        """The same for all rows: of two choices at one instant the one written last holds."""
        return 0


@dataclass(frozen=True, slots=True)
class Preferences:
    """All preferences of a person that hold now."""

    # Least time between two marketing mails; 0: none.
    min_gap: Duration = 0
    # No marketing mail before this instant; 0: no pause.
    paused_until: Instant = 0
    # Opens and clicks must not be counted.
    untracked: bool = False

    @property
    def caps(self) -> tuple[Cap, ...]:
        """The person's own frequency cap as the guard reads it; empty without a least gap. People count mails."""
        if self.min_gap == 0:
            return ()
        return (Cap("own", MARKETING, at_most=1, within=self.min_gap, count="mails"),)


def fold_preferences(
    contact_id: int, rows: Iterable[Preference], merges: Iterable[ContactMerge] = ()
) -> Preferences:
    """Return the preferences of this contact with everything that was merged into it.

    rows, merges: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    """
    values = fold_family(contact_id, rows, merges, apply=_apply, take_stricter=_take_stricter)
    return Preferences(values.get("often", 0), values.get("pause", 0), values.get("tracking", 0) > 0)


def _apply(values: dict[str, int], row: Preference) -> dict[str, int]:
    return {**values, row.kind: row.value}


def _take_stricter(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {kind: max(first.get(kind, 0), second.get(kind, 0)) for kind in {*first, *second}}
