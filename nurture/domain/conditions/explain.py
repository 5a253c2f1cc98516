"""Explanation of an answer: each part with its answer, its values, and the value that a failing part needs.

As with the other readings, a condition is compiled once into closures.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isinf
from typing import Any

from nurture.domain.conditions.change import HORIZON, ForecastFunction, compile_forecast, find_next_change
from nurture.domain.conditions.evaluate import AnswerFunction, compile_answer, compile_value
from nurture.domain.conditions.nodes import (
    OPPOSITE,
    All,
    AnyOf,
    Balance,
    Compare,
    Constant,
    Contains,
    Fixed,
    Flag,
    Is,
    Known,
    Node,
    Not,
    OneOf,
    Same,
    Value,
    answer_moves,
    is_moving,
    leaves,
    scale_of,
    type_of,
    values_of,
)
from nurture.domain.conditions.terms import Reading, Truth
from nurture.domain.instant import NEVER, to_iso

TRUTHS: dict[bool | None, Truth] = {True: Truth.YES, False: Truth.NO, None: Truth.UNKNOWN}

# At most this many texts of a set are shown, the newest.
_SHOWN_MAX = 10
_LABEL_MAX = 30


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer of a condition, or of a part of it, with the values that led to it."""

    text: str
    truth: Truth
    # The values read and, where the part fails, the value it needs: `orders is 1, needs >= 2`.
    detail: str = ""
    parts: tuple["Explanation", ...] = ()

    def lines(self) -> list[str]:
        """Return one line for the whole and one for each part, indented by two spaces a level."""
        return list(_lines(self, 0))


ExplainFunction = Callable[[Reading], Explanation]


def _lines(explanation: Explanation, depth: int) -> Iterator[str]:
    detail = f": {explanation.detail}" if explanation.detail else ""
    yield f"{'  ' * depth}{explanation.truth.value:<7} {explanation.text}{detail}"
    for part in explanation.parts:
        yield from _lines(part, depth + 1)


def compile_explanation(node: Node, *, wanted: bool = True) -> ExplainFunction:
    """Return a function reading -> explanation of a node; `wanted` is the answer to reach (False below a `not`)."""
    match node:
        case Constant():
            answer = compile_answer(node)
            return lambda reading: Explanation(node.text, _truth(answer, reading))
        case All() | AnyOf():
            return _compile_joined(node, wanted=wanted)
        case Not():
            return _compile_not(node, wanted=wanted)
        case Is():
            return _compile_is(node, wanted=wanted)
        case _:
            return _compile_leaf(node, wanted=wanted)


def reads_moving_values(node: Node) -> bool:
    """Tell whether the explanation of a node depends on the instant or the zone, and not on the facts alone."""
    return any(is_moving(value) for leaf in leaves(node) for value in values_of(leaf))


def format_value(value: Value, stored: Any) -> str:
    """Return a value as text: `19.99`, `"pro"`, `2026-11-01T00:00:00Z`, `never`, `unknown`.

    value: the node of the tree, for type and scale. stored: the value in the form that `compile_value` reads.
    """
    if stored is None:
        return "unknown"
    if isinstance(stored, float) and isinf(stored):
        return "endless (it never happened)"
    match type_of(value):
        case "instant":
            return "never" if stored <= NEVER else to_iso(stored)
        case "decimal":
            return _format_decimal(stored, scale_of(value))
        case "text":
            return f'"{stored}"'
        case "set":
            return _format_set(stored)
        case "bool":
            return "yes" if stored else "no"
        case _:
            return str(stored)


def _format_set(texts: list[str]) -> str:
    left_out = f"{len(texts) - _SHOWN_MAX} more, " if len(texts) > _SHOWN_MAX else ""
    return "[" + left_out + ", ".join(f'"{text}"' for text in texts[-_SHOWN_MAX:]) + "]"


def _format_decimal(number: int, scale: int) -> str:
    digits = f"{abs(number):0{scale + 1}d}"
    point = len(digits) - scale
    return f"{'-' if number < 0 else ''}{digits[:point]}" + (f".{digits[point:]}" if scale else "")


def _truth(answer: AnswerFunction, reading: Reading) -> Truth:
    return TRUTHS[answer(reading.facts, reading.now, reading.zone)]


def _compile_joined(node: All | AnyOf, *, wanted: bool) -> ExplainFunction:
    answer = compile_answer(node)
    parts = tuple(compile_explanation(part, wanted=wanted) for part in node.parts)

    def explain(reading: Reading) -> Explanation:
        explained = tuple([part(reading) for part in parts])
        return Explanation(node.text, _truth(answer, reading), "", explained)

    return explain


def _compile_not(node: Not, *, wanted: bool) -> ExplainFunction:
    """Compile `not`: one line before a single comparison, otherwise a line with a part below it."""
    explain_part = compile_explanation(node.part, wanted=not wanted)

    def explain(reading: Reading) -> Explanation:
        part = explain_part(reading)
        if part.parts:
            return Explanation(node.text, ~part.truth, "", (part,))
        return Explanation(node.text, ~part.truth, part.detail)

    return explain


def _compile_is(node: Is, *, wanted: bool) -> ExplainFunction:
    """Compile `satisfied is not no`: the answer of the part, and the answers that would do."""
    accepted = node.among if wanted else frozenset(Truth) - node.among
    needed = " or ".join(answer.value for answer in Truth if answer in accepted)
    answer, explain_part = compile_answer(node), compile_explanation(node.part, wanted=Truth.YES in accepted)

    def explain(reading: Reading) -> Explanation:
        truth, part = _truth(answer, reading), explain_part(reading)
        if part.parts or part.text not in node.text:
            return Explanation(node.text, truth, "", (part,))
        present = f"{part.text} is {part.truth.value}"
        if part.truth in accepted:
            return Explanation(node.text, truth, present)
        return Explanation(node.text, truth, f"{present}, needs {needed}")

    return explain


def _compile_leaf(node: Node, *, wanted: bool) -> ExplainFunction:
    answer, goal = compile_answer(node), Truth.YES if wanted else Truth.NO
    need, describe_values = f", needs {_describe_need(node, wanted=wanted)}", _compile_values(node)
    forecast = compile_forecast(node) if answer_moves(node) else None

    def explain(reading: Reading) -> Explanation:
        truth = _truth(answer, reading)
        as_wanted = truth is goal
        detail = describe_values(reading) if as_wanted else describe_values(reading) + need
        if forecast is not None:
            detail += _describe_change(forecast, reading, as_wanted=as_wanted)
        return Explanation(node.text, truth, detail)

    return explain


def _compile_values(node: Node) -> Callable[[Reading], str]:
    """Return a function that writes the values that a leaf reads, each once."""
    if isinstance(node, Flag):
        answer = compile_answer(node)
        return lambda reading: f"{node.text} is {_truth(answer, reading).value}"
    read = {
        _label(value): (value, compile_value(value))
        for value in values_of(node)
        if not isinstance(value, Fixed)
    }

    def describe(reading: Reading) -> str:
        facts, now, zone = reading.facts, reading.now, reading.zone
        return ", ".join(
            [
                f"{label} is {format_value(value, find(facts, now, zone))}"
                for label, (value, find) in read.items()
            ]
        )

    return describe


def _label(value: Value) -> str:
    """Return the value as written, with dots in place of a long list of arguments."""
    if len(value.text) <= _LABEL_MAX or "(" not in value.text:
        return value.text
    return value.text[: value.text.index("(")] + "(...)"


def _describe_need(node: Node, *, wanted: bool) -> str:
    match node:
        case Flag():
            return "yes" if wanted else "no"
        case Known():
            return "a value" if wanted else "to be unknown"
        case Compare():
            return f"{node.op if wanted else OPPOSITE[node.op]} {format_value(node.value, node.bound)}"
        case OneOf():
            options = ", ".join(format_value(node.value, option) for option in node.options)
            return f"{'one' if wanted else 'none'} of {options}"
        case Contains():
            return f"{'' if wanted else 'not '}to hold {node.item.text}"
        case Same():
            return f"{'the same text' if wanted else 'different texts'}"
        case Balance():
            return node.text if wanted else f"not {node.text}"
        case _:
            return node.text


def _describe_change(forecast: ForecastFunction, reading: Reading, *, as_wanted: bool) -> str:
    """Return when time alone will change the answer, "" when it will not."""
    at = find_next_change(forecast, reading.facts, reading.now, reading.zone)
    if at is None or at >= reading.now + HORIZON:
        return ""
    return f", until {to_iso(at)}" if as_wanted else f": becomes true at {to_iso(at)}"
