"""What is at hand while a condition is built: its text, the vocabulary, and what it has used so far."""

import ast
from dataclasses import dataclass, field
from fractions import Fraction

from nurture.domain.conditions.nodes import NODES, Node, Value, is_moving, type_of
from nurture.domain.conditions.syntax import Source
from nurture.domain.conditions.terms import Vocabulary
from nurture.domain.errors import ConditionError

_KINDS = {
    "integer": "a number",
    "decimal": "a number",
    "instant": "an instant",
    "text": "text",
    "set": "a set",
    "bool": "yes or no",
    "verdict": "yes, no or unknown",
}


@dataclass(slots=True)
class Scope:
    """One condition being built."""

    source: Source
    vocabulary: Vocabulary
    # Names of the terms and of the events used.
    terms: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)

    def fault(self, tree: ast.expr, message: str) -> ConditionError:
        """Return the error that points at a piece of the text."""
        return self.source.fault(tree, message)


@dataclass(frozen=True, slots=True)
class Sum:
    """Numbers added and taken away, each with its sign, and what was written as digits."""

    parts: tuple[tuple[int, Value], ...]
    constant: Fraction = Fraction(0)

    def plus(self, other: "Sum") -> "Sum":
        """Return both together."""
        return Sum(self.parts + other.parts, self.constant + other.constant)

    def negated(self) -> "Sum":
        """Return the same with the other sign."""
        return Sum(tuple((-sign, value) for sign, value in self.parts), -self.constant)

    def moving(self) -> int:
        """Return how many parts move with time."""
        return sum(is_moving(value) for _, value in self.parts)


def describe(built: Node | Value | Sum) -> str:
    """Say what a piece of a condition is, with its article."""
    if isinstance(built, NODES):
        return "an answer (yes or no)"
    return "a number" if isinstance(built, Sum) else _KINDS[type_of(built)]
