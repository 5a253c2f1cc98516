"""Explanation of an answer: each part with its answer, its values, and the value that a failing part needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from typing import Any

from nurture.domain.conditions.change import HORIZON, compile_forecast, find_next_change
from nurture.domain.conditions.evaluate import compile_answer, compile_value
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


def _lines(explanation: Explanation, depth: int) -> Iterator[str]:
    detail = f": {explanation.detail}" if explanation.detail else ""
    yield f"{'  ' * depth}{explanation.truth.value:<7} {explanation.text}{detail}"
    for part in explanation.parts:
        yield from _lines(part, depth + 1)


def explain(node: Node, reading: Reading, *, wanted: bool = True) -> Explanation:
    """Return the explanation of a node; `wanted` is the answer to reach (False below a `not`)."""
    truth = _truth(node, reading)
    match node:
        case Constant():
            return Explanation(node.text, truth)
        case All() | AnyOf():
            return Explanation(
                node.text, truth, "", tuple(explain(part, reading, wanted=wanted) for part in node.parts)
            )
        case Not():
            return _explain_not(node, reading, wanted=wanted)
        case Is():
            return _explain_is(node, reading, wanted=wanted)
        case _:
            return Explanation(node.text, truth, _describe_leaf(node, reading, wanted=wanted))


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


def _truth(node: Node, reading: Reading) -> Truth:
    return TRUTHS[compile_answer(node)(reading.facts, reading.now, reading.zone)]


def _explain_not(node: Not, reading: Reading, *, wanted: bool) -> Explanation:
    """Explain `not`: one line before a single comparison, otherwise a line with a part below it."""
    part = explain(node.part, reading, wanted=not wanted)
    if part.parts:
        return Explanation(node.text, ~part.truth, "", (part,))
    return Explanation(node.text, ~part.truth, part.detail)


def _explain_is(node: Is, reading: Reading, *, wanted: bool) -> Explanation:
    """Explain `satisfied is not no`: the answer of the part, and the answers that would do."""
    truth = _truth(node, reading)
    accepted = node.among if wanted else frozenset(Truth) - node.among
    part = explain(node.part, reading, wanted=Truth.YES in accepted)
    if part.parts or part.text not in node.text:
        return Explanation(node.text, truth, "", (part,))
    present = f"{part.text} is {part.truth.value}"
    if part.truth in accepted:
        return Explanation(node.text, truth, present)
    words = [answer.value for answer in Truth if answer in accepted]
    return Explanation(node.text, truth, f"{present}, needs {' or '.join(words)}")


def _describe_leaf(node: Node, reading: Reading, *, wanted: bool) -> str:
    truth = _truth(node, reading)
    values = _describe_values(node, reading)
    as_wanted = truth is (Truth.YES if wanted else Truth.NO)
    detail = values if as_wanted else f"{values}, needs {_describe_need(node, wanted=wanted)}"
    return detail + _describe_change(node, reading, as_wanted=as_wanted)


def _describe_values(node: Node, reading: Reading) -> str:
    if isinstance(node, Flag):
        return f"{node.text} is {_truth(node, reading).value}"
    seen = {
        _label(value): format_value(value, compile_value(value)(reading.facts, reading.now, reading.zone))
        for value in values_of(node)
        if not isinstance(value, Fixed)
    }
    return ", ".join(f"{label} is {shown}" for label, shown in seen.items())


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


def _describe_change(node: Node, reading: Reading, *, as_wanted: bool) -> str:
    """Return when time alone will change the answer, "" when it will not."""
    if not answer_moves(node):
        return ""
    at = find_next_change(compile_forecast(node), reading.facts, reading.now, reading.zone)
    if at is None or at >= reading.now + HORIZON:
        return ""
    return f", until {to_iso(at)}" if as_wanted else f": becomes true at {to_iso(at)}"
