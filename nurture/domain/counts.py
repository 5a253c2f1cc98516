"""Counts by outcome: every room returns them."""

from collections import Counter


class Counts(Counter[str]):
    """Outcome -> how often; names not counted are 0. `more`: there is work left, come again at once."""

    more: bool = False

    def add(self, other: "Counts") -> None:
        """Add another step's counts; there is more when either says so."""
        self.update(other)
        self.more = self.more or other.more
