"""The state while a condition is built: its text, the vocabulary, and the names it has used so far."""

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
class BuildScope:
    """The text and vocabulary of the condition that is being built, and the names it uses."""

    source: Source
    vocabulary: Vocabulary
    # Names of the terms and of the events that the condition uses.
    terms: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    # Paths of the measures whose runs or mails it asks for.
    measures: set[str] = field(default_factory=set)

    def fault(self, tree: ast.expr, message: str) -> ConditionError:
        """Return an error that points at a piece of the text; the caller raises it."""
        return self.source.fault(tree, message)


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of values, each with its sign, and of one constant."""

    parts: tuple[tuple[int, Value], ...]
    constant: Fraction = Fraction(0)

    def plus(self, other: "Sum") -> "Sum":
        """Return the sum of both."""
        return Sum(self.parts + other.parts, self.constant + other.constant)

    def negated(self) -> "Sum":
        """Return the sum with every sign reversed."""
        return Sum(tuple((-sign, value) for sign, value in self.parts), -self.constant)

    def count_moving(self) -> int:
        """Return how many parts change with time."""
        return sum(is_moving(value) for _, value in self.parts)


def describe(built: Node | Value | Sum) -> str:
    """Return the kind of a piece of a condition in words, with its article."""
    if isinstance(built, NODES):
        return "an answer (yes or no)"
    return "a number" if isinstance(built, Sum) else _KINDS[type_of(built)]
