"""Doorbells: telling the workers, after a commit, that there is something to do. A lost ring costs latency only."""

from typing import Protocol


class Bells(Protocol):
    """Rings a queue (`inbox`, `advance`, `deliver`) for a key (a shard, a lane)."""

    def ring(self, queue: str, key: str) -> None:
        """Ring; never raises, never waits long."""
        ...


class NoBells:
    """Nobody to wake: embedded workers look by themselves twice a second."""

    def ring(self, queue: str, key: str) -> None:
        """Do nothing."""
