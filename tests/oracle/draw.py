"""Chance that is the same everywhere: a hash of a seed and a counter."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
#: Seeds from here on also draw what `generate_more` and `more_measures` know.
MORE_FROM = 11


def has_more(seed: int) -> bool:
    """Whether a seed draws the further constructs too."""
    return seed >= MORE_FROM


class Draw:
    """Draws numbers and choices from a seed."""

    def __init__(self, *keys: object) -> None:
        self.key = ":".join(str(key) for key in keys)
        self.count = 0

    def number(self, below: int) -> int:
        """A number from 0 up to one less than `below`."""
        self.count += 1
        digest = hashlib.blake2b(f"{self.key}:{self.count}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % below

    def between(self, low: int, high: int) -> int:
        """A number, both ends included."""
        return low + self.number(high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.number(len(choices))]

    def share(self, percent: int) -> bool:
        """Yes in so many of a hundred cases."""
        return self.number(100) < percent

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """So many different ones of the choices."""
        left = list(choices)
        return [left.pop(self.number(len(left))) for _ in range(min(count, len(left)))]


def first_day(seed: int) -> dt.date:
    """The day on which the history of a seed begins: it is what its draw gives first."""
    return dt.date(2026, *Draw("history", seed).pick([(3, 16), (2, 16), (10, 15), (12, 20), (6, 1)]))
