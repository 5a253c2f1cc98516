"""Segments: named conditions, and ladders of them."""

from dataclasses import dataclass

from nurture.domain.conditions import Condition


@dataclass(frozen=True, slots=True)
class Segment:
    """A name for a condition, or a ladder: the name of the first of several conditions that is yes."""

    name: str
    # (name of the rung, condition); a plain segment has one, without a name.
    rungs: tuple[tuple[str, Condition], ...]
    # The text of a ladder of which no rung is yes; None: unknown.
    otherwise: str | None = None
    is_ladder: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text that a ladder can have."""
        names = tuple(name for name, _ in self.rungs)
        return names if self.otherwise is None else (*names, self.otherwise)
