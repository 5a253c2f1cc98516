"""The state of the part being rendered, for filters: locale, zone, and the loop steps that are left.

It is a context variable and not one of the template's names. So a macro that is imported without context formats a
price in the right language too, and no template can change it.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: Steps that all loops of one part may make together.
STEPS_MAX = 20_000
#: Characters of one part.
OUTPUT_MAX = 1_000_000


class LimitExceeded(Exception):
    """The template exceeds a limit; the message says which."""


@dataclass(slots=True)
class RenderState:
    """The state of one part of one mail."""

    locale: str
    zone: str
    steps_left: int = STEPS_MAX
    # Texts that are the same in every mail (brand, strings, literals) and get no mark. None: the reference path, which
    # marks nothing.
    fixed: frozenset[str] | None = None

    def charge(self, steps: int) -> None:
        """Subtract steps from the budget. Raises LimitExceeded when it is used up."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise LimitExceeded(f"its loops make more than {STEPS_MAX} steps")


RENDER_STATE: ContextVar[RenderState] = ContextVar("render_state")


def join_bounded(pieces: Iterable[Any]) -> str:
    """Return the pieces as one text. Raises LimitExceeded as soon as it is longer than OUTPUT_MAX."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > OUTPUT_MAX:
            raise LimitExceeded(f"it makes more than {OUTPUT_MAX} characters")
        kept.append(piece)
    return "".join(kept)
