"""Retention: of the people who first bought in a month, the share that bought in each month after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from nurture.domain.figures.shares import Share, wilson

#: Smaller cohorts are not shown: the share of a handful says little, and may point at one person.
COHORT_MIN: Final = 50


class CohortCell(NamedTuple):
    """So many people of a cohort bought so many months after their first month; 0 counts the cohort itself."""

    cohort: int
    months: int
    people: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """People whose first order was in one month: its place in the list of months, and the shares of those after it."""

    place: int
    people: int
    # The share with an order one, two ... months later, of the months that are over; () for a cohort too small to show.
    shares: tuple[Share, ...]

    @property
    def is_shown(self) -> bool:
        """Tell whether there are enough people to show shares of."""
        return self.people >= COHORT_MIN


def cohorts(cells: Iterable[CohortCell], months: int) -> list[Cohort]:
    """Return the cohorts of so many months that are over, in their order; months without people are left out."""
    counts: Mapping[tuple[int, int], int] = {(cell.cohort, cell.months): cell.people for cell in cells}
    found = []
    for place in range(months):
        people = counts.get((place, 0), 0)
        after = range(1, months - place) if people >= COHORT_MIN else ()
        shares = tuple(wilson(counts.get((place, later), 0) / people, people) for later in after)
        if people:
            found.append(Cohort(place, people, shares))
    return found
