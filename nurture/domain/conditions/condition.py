"""A parsed condition: its truth, its next change and its explanation for one contact."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from nurture.domain.conditions.build import build_node
from nurture.domain.conditions.change import ForecastFunction, compile_forecast, find_next_change
from nurture.domain.conditions.evaluate import AnswerFunction, compile_answer
from nurture.domain.conditions.explain import (
    TRUTHS,
    Explanation,
    compile_explanation,
    reads_moving_values,
)
from nurture.domain.conditions.nodes import Constant, Node, answer_moves, answer_only_grows, stored_keys
from nurture.domain.conditions.scope import BuildScope
from nurture.domain.conditions.segments import expand
from nurture.domain.conditions.syntax import parse_expression
from nurture.domain.conditions.terms import Reading, Truth, Vocabulary
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A condition that can be evaluated for any contact. `parse` makes it; equal when text and tree are equal."""

    text: str
    # The same with every segment replaced by its conditions: what the rules are.
    expanded: str
    # Names of the facts, and of the events whose count, first or last instant the condition reads.
    terms: frozenset[str]
    events: frozenset[str]
    # Paths of the measures whose runs or mails it asks for.
    measures: frozenset[str]
    # Whether the answer can change with time alone.
    moving: bool
    # Whether a yes stays yes as facts grow; the evidence of a stage must be such a condition.
    grows: bool
    # The tree that all readings walk; `database.condition_sql` translates it to SQL.
    root: Node = field(repr=False)
    _answer: AnswerFunction = field(repr=False)
    _forecast: ForecastFunction = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.expanded == other.expanded and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def truth(self, reading: Reading) -> Truth:
        """Return the answer for one contact at one instant."""
        return TRUTHS[self._answer(reading.facts, reading.now, reading.zone)]

    def next_change(self, reading: Reading) -> Instant | None:
        """Return the first instant after `reading.now` at which the answer differs if no event happens.

        None: never. A change after more than 400 days is returned as now + 400 days; ask again then.
        """
        if not self.moving:
            return None
        return find_next_change(self._forecast, reading.facts, reading.now, reading.zone)

    def explain(self, reading: Reading) -> Explanation:
        """Return the reasons of the answer, part by part."""
        return _explainer(self)(reading)

    def explain_in_one_line(self, reading: Reading) -> str:
        """Return the lines of the explanation, joined."""
        return _line_writer(self)(reading)


#: Conditions whose explanation is kept compiled, and lines that are kept for the values that they tell of.
_COMPILED_MAX: Final = 1_024
_LINES_MAX: Final = 256


@lru_cache(maxsize=_COMPILED_MAX)
def _explainer(condition: Condition) -> Callable[[Reading], Explanation]:
    return compile_explanation(condition.root)


@lru_cache(maxsize=_COMPILED_MAX)
def _line_writer(condition: Condition) -> Callable[[Reading], str]:
    """Return a function that explains in one line; for people of whom the same is known, it is written once."""
    explain, keys = _explainer(condition), tuple(sorted(stored_keys(condition.root)))

    def write(reading: Reading) -> str:
        return "; ".join([line.strip() for line in explain(reading).lines()])

    if reads_moving_values(condition.root):
        return write

    @lru_cache(maxsize=_LINES_MAX, typed=True)
    def write_known(*values: Any) -> str:
        return write(Reading(dict(zip(keys, values, strict=True)), 0))

    def write_once(reading: Reading) -> str:
        values = [reading.facts.get(key) for key in keys]
        # A list cannot be looked up.
        return write(reading) if list in map(type, values) else write_known(*values)

    return write_once


def parse(text: str, vocabulary: Vocabulary) -> Condition:
    """Return the condition of a text. Raises ConditionError, with the column, for text outside the language."""
    source, tree = parse_expression(text)
    tree = expand(source, tree, vocabulary)
    scope = BuildScope(source, vocabulary)
    root = build_node(tree, scope)
    shown = " ".join(text.split())
    return _condition(shown, ast.unparse(tree) if source.pieces else shown, root, scope)


def _condition(text: str, expanded: str, root: Node, scope: BuildScope | None = None) -> Condition:
    return Condition(
        text=text,
        expanded=expanded,
        terms=frozenset(scope.terms if scope else ()),
        events=frozenset(scope.events if scope else ()),
        measures=frozenset(scope.measures if scope else ()),
        moving=answer_moves(root),
        grows=answer_only_grows(root),
        root=root,
        _answer=compile_answer(root),
        _forecast=compile_forecast(root),
    )


#: The condition that holds for everybody.
ALWAYS = _condition("True", "True", Constant("True", value=True))
