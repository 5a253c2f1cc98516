"""What filters must know of the mail being rendered: language, zone, and how much work is left.

It travels in a context variable, not in the template's own names, so that a macro imported without context
formats a price in the right language too, and no template can change it.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: Steps of all loops of one part together.
STEPS_MAX = 20_000
#: Characters of one part.
OUTPUT_MAX = 1_000_000


class Exceeded(Exception):
    """The template does more than a mail may; the message says what."""


@dataclass(slots=True)
class Rendering:
    """One part of one mail on its way."""

    locale: str
    zone: str
    steps_left: int = STEPS_MAX
    # Text known before any contact is (brand, strings, literals): part of the skeleton, not a slot. None: the
    # reference path, nothing is marked.
    fixed: frozenset[str] | None = None

    def charge(self, steps: int) -> None:
        """Use up steps. Raises Exceeded when none are left."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise Exceeded(f"its loops make more than {STEPS_MAX} steps")


RENDERING: ContextVar[Rendering] = ContextVar("rendering")


def joined(pieces: Iterable[Any]) -> str:
    """Return the pieces as one text. Raises Exceeded as soon as it grows past the cap."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > OUTPUT_MAX:
            raise Exceeded(f"it makes more than {OUTPUT_MAX} characters")
        kept.append(piece)
    return "".join(kept)
