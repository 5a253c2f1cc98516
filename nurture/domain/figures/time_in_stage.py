"""How long people stay at a stage, where several exits compete and most stays are not over.

The share that has left by each exit after so many days is the Aalen-Johansen estimate: to count people who left
otherwise, or who are still there, as never leaving would make it too small, and to leave them out too large. Variances
are those of Greenwood, and of Marubini and Valsecchi for one exit among several; the interval is Wilson's for as many
people as would give that variance.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from nurture.domain.figures.shares import Share, wilson

#: After this share of the stays is over, a stay is longer than usual.
USUAL: Final = 0.9
#: Fewer ended stays say too little about what is usual.
ENDED_MIN: Final = 20


class Stays(NamedTuple):
    """So many people stayed so many whole days; exit "" means that they are still there."""

    days: int
    exit: str
    people: int


@dataclass(frozen=True, slots=True)
class _Day:
    """One day on which people left: who was there until then, and how many left by each exit."""

    day: int
    at_risk: int
    exits: Counter[str]
    # The share that stayed up to this day, and after it.
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class TimeInStage:
    """The stays at one stage."""

    people: int
    ended: int
    days: tuple[_Day, ...]

    def share_left(self, exit_name: str, within: int) -> Share | None:
        """Return the share of people who leave by this exit within so many days; None without people.

        It is a statement about the first days only as far as somebody was there so long.
        """
        if not self.people:
            return None
        value, variance = self._incidence(exit_name, within)
        is_inside = 0 < value < 1 and variance > 0
        return wilson(value, value * (1 - value) / variance if is_inside else self.people)

    def _incidence(self, exit_name: str, within: int) -> tuple[float, float]:
        days = [day for day in self.days if day.day <= within]
        reached, total = [], 0.0
        for day in days:
            total += day.before * day.exits[exit_name] / day.at_risk
            reached.append(total)
        variance = 0.0
        for day, so_far in zip(days, reached, strict=True):
            mine, leaving, there = day.exits[exit_name], day.exits.total(), day.at_risk
            rest = total - so_far
            if leaving < there:
                variance += rest**2 * leaving / (there * (there - leaving))
            variance += day.before**2 * (there - mine) * mine / there**3
            variance -= 2 * rest * day.before * mine / there**2
        return total, max(variance, 0.0)

    def days_until(self, share: float) -> int | None:
        """Return after how many days this share of the stays is over; None when that is not known yet."""
        return next((day.day for day in self.days if day.after <= 1 - share + 1e-12), None)

    def usual_days(self) -> int | None:
        """Return after how many days nine of ten stays are over; None when too few have ended to say so."""
        return self.days_until(USUAL) if self.ended >= ENDED_MIN else None


def estimate(stays: Iterable[Stays]) -> TimeInStage:
    """Return the estimate from all stays at one stage, those that are not over among them."""
    ended: dict[int, Counter[str]] = {}
    until: Counter[int] = Counter()
    for stay in stays:
        until[stay.days] += stay.people
        if stay.exit:
            ended.setdefault(stay.days, Counter())[stay.exit] += stay.people
    people = there = until.total()
    surviving, days = 1.0, []
    for day in sorted(until):
        exits = ended.get(day)
        if exits:
            before, surviving = surviving, surviving * (1 - exits.total() / there)
            days.append(_Day(day, there, exits, before, surviving))
        there -= until[day]
    return TimeInStage(people, sum(day.exits.total() for day in days), tuple(days))
