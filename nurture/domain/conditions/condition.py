"""A parsed condition and its readings."""

from dataclasses import dataclass, field

from nurture.domain.conditions.build import answer
from nurture.domain.conditions.change import Ahead, foresee, next_change
from nurture.domain.conditions.evaluate import Answer, answerer
from nurture.domain.conditions.explain import TRUTHS, Explanation, explain
from nurture.domain.conditions.nodes import Constant, Node, grows, moves
from nurture.domain.conditions.scope import Scope
from nurture.domain.conditions.syntax import read
from nurture.domain.conditions.terms import Reading, Truth, Vocabulary
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A condition that may be asked about any contact. Made by `parse`; equal when text and meaning are."""

    text: str
    # Names of the facts it reads, and of the events whose count, first or last it reads.
    terms: frozenset[str]
    events: frozenset[str]
    # The answer can change while nothing happens.
    moving: bool
    # Once yes it stays yes as facts grow; what the evidence of a stage must do.
    grows: bool
    # What it means; `database.condition_sql` makes SQL of it.
    root: Node = field(repr=False)
    _answer: Answer = field(repr=False)
    _ahead: Ahead = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.text == other.text and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def truth(self, reading: Reading) -> Truth:
        """Answer for one contact at one instant."""
        return TRUTHS[self._answer(reading.facts, reading.now, reading.zone)]

    def next_change(self, reading: Reading) -> Instant | None:
        """Return the first instant after `reading.now` at which the answer differs, if nothing happens.

        None: it never does. What changes only after 400 days is given as those 400 days: ask again then.
        """
        if not self.moving:
            return None
        return next_change(self._ahead, reading.facts, reading.now, reading.zone)

    def explain(self, reading: Reading) -> Explanation:
        """Say why the answer is what it is, part by part."""
        return explain(self.root, reading)


def parse(text: str, vocabulary: Vocabulary) -> Condition:
    """Read a condition. Raises ConditionError, with the column, for whatever the language has not."""
    source, tree = read(text)
    scope = Scope(source, vocabulary)
    root = answer(tree, scope)
    return _condition(" ".join(text.split()), root, scope)


def _condition(text: str, root: Node, scope: Scope | None = None) -> Condition:
    return Condition(
        text=text,
        terms=frozenset(scope.terms if scope else ()),
        events=frozenset(scope.events if scope else ()),
        moving=moves(root),
        grows=grows(root),
        root=root,
        _answer=answerer(root),
        _ahead=foresee(root),
    )


#: The condition that holds for everybody.
ALWAYS = _condition("True", Constant("True", value=True))
