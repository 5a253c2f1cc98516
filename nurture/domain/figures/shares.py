"""Shares of people with their 95 % interval."""

from math import sqrt
from typing import Final, NamedTuple

#: Two-sided 95 %.
Z: Final = 1.96


class Share(NamedTuple):
    """A share of people with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(value: float, people: float) -> Share:
    """Return the share with Wilson's interval, which also holds for few people and for 0 and 100 %.

    people: how many the share is of; of an estimate with a variance, as many as would give this variance.
    """
    spread = Z**2 / people
    middle = (value + spread / 2) / (1 + spread)
    half = Z * sqrt(value * (1 - value) / people + spread / (4 * people)) / (1 + spread)
    return Share(value, max(middle - half, 0.0), min(middle + half, 1.0))
