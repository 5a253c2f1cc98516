"""How many people an experiment needs, and how long that takes."""

from typing import Final

#: (1.96 + 0.84)^2: level 5 %, power 80 %, for a test of a size fixed beforehand.
_FACTOR: Final = 7.85
#: A sequence that may be looked at any time needs so many times the fixed size: in half of the runs, in 80 %.
MEDIAN: Final = 1.4
MOST: Final = 2.4


def people_for_rates(base: float, difference: float, holdout: float) -> float:
    """Return the fixed-size number of people for a difference of rates (fractions) with this share held back."""
    treated, shown = base + difference, 1 - holdout
    spread = treated * (1 - treated) / shown + base * (1 - base) / holdout
    return _FACTOR * spread / difference**2


def people_for_means(variation: float, relative: float, holdout: float) -> float:
    """Return the fixed-size number of people for a relative difference of means.

    variation: the coefficient of variation of the value per person, zeros among them.
    """
    return _FACTOR * variation**2 / (holdout * (1 - holdout) * relative**2)


def weeks(people: float, entries_a_week: float) -> float | None:
    """Return in how many weeks 80 % of such experiments have a verdict; None without entries."""
    return MOST * people / entries_a_week if entries_a_week > 0 else None
