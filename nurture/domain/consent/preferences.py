"""What a person asked of all our marketing mail: less often, not until a date, without watching what they open.

A wish is a number of its kind, and more of it is stricter, so the same fold serves all three:

| kind | value | nothing asked for |
|---|---|---|
| `often` | least time between two marketing mails, a duration | 0 |
| `pause` | no marketing mail before this instant | 0 |
| `tracking` | 1: links are not counted and no picture is loaded | 0 |

Within one contact the newest row of a kind speaks. Where two contacts turned out to be one person the stricter
of both holds from the merge on, until the person says something newer, as with consent (`domain.consent.permissions`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nurture.domain.consent.permissions import Join
from nurture.domain.instant import DAY, Duration, Instant
from nurture.domain.measure import MARKETING
from nurture.domain.playbook import Cap

WishKind = Literal["often", "pause", "tracking"]
WISH_KINDS: Final[tuple[WishKind, ...]] = ("often", "pause", "tracking")

#: What "less often" may mean: as the programme has it, or at most one marketing mail in so long.
GAPS: Final[tuple[Duration, ...]] = (0, 7 * DAY, 14 * DAY, 30 * DAY)
#: What the unsubscribe page offers before nothing at all.
LESS: Final[Duration] = GAPS[-1]
#: The longest pause.
PAUSE_MAX: Final[Duration] = 366 * DAY


@dataclass(frozen=True, slots=True)
class Wish:
    """One row: this contact asked for this."""

    contact_id: int
    kind: WishKind
    value: int
    at: Instant
    # The order in which rows were written; settles rows of one instant.
    id: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that holds for a person now."""

    # Least time between two marketing mails; 0: none.
    often: Duration = 0
    # 0: no pause.
    pause: Instant = 0
    # Whether opens and clicks are to be left uncounted.
    untracked: bool = False

    @property
    def caps(self) -> tuple[Cap, ...]:
        """The person's own cap, as the guard counts one; empty without a wish."""
        return (Cap("own", MARKETING, at_most=1, within=self.often),) if self.often > 0 else ()


def wishes(contact_id: int, rows: Iterable[Wish], joins: Iterable[Join] = ()) -> Wishes:
    """Return what holds for this contact with everything that was merged into it.

    rows, joins: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    """
    by_contact: dict[int, list[Wish]] = {}
    for row in rows:
        by_contact.setdefault(row.contact_id, []).append(row)
    by_survivor: dict[int, list[Join]] = {}
    for join in joins:
        by_survivor.setdefault(join.survivor, []).append(join)
    found = _fold(contact_id, by_contact, by_survivor, seen=frozenset())
    return Wishes(found.get("often", 0), found.get("pause", 0), found.get("tracking", 0) > 0)


def _fold(
    contact_id: int,
    rows: Mapping[int, Sequence[Wish]],
    joins: Mapping[int, Sequence[Join]],
    *,
    seen: frozenset[int],
) -> dict[str, int]:
    """Fold one contact's rows and merges by time; `seen` keeps a circle of merges from turning for ever."""
    # A row and a merge of one instant: the merge first, the row is what the joined person then said.
    steps: list[tuple[Instant, int, int, Wish | Join]] = [
        (row.at, 1, row.id, row) for row in rows.get(contact_id, ())
    ]
    steps += [
        (join.at, 0, join.merged, join) for join in joins.get(contact_id, ()) if join.merged not in seen
    ]
    answer: dict[str, int] = {}
    for _at, _order, _id, step in sorted(steps, key=lambda each: each[:3]):
        if isinstance(step, Join):
            other = _fold(step.merged, rows, joins, seen=seen | {contact_id})
            answer = {kind: max(answer.get(kind, 0), other.get(kind, 0)) for kind in {*answer, *other}}
        else:
            answer[step.kind] = step.value
    return answer
