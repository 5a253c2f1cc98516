"""Explanation: the answer of each part, the values it saw, and what would have changed a failing one."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from typing import Any

from nurture.domain.conditions.change import HORIZON, foresee, next_change
from nurture.domain.conditions.evaluate import answerer, reader
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
    moves,
    scale_of,
    type_of,
    values_of,
)
from nurture.domain.conditions.terms import Reading, Truth
from nurture.domain.instant import NEVER, to_iso

TRUTHS: dict[bool | None, Truth] = {True: Truth.YES, False: Truth.NO, None: Truth.UNKNOWN}

# A set is shown with so many of its texts, the newest.
_SHOWN_MAX = 10
_LABEL_MAX = 30


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a condition, or a part of one, answers as it does."""

    text: str
    truth: Truth
    # The values seen and, where the part fails, what it needs: `orders is 1, needs >= 2`.
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
    """Explain a node; `wanted` is the answer that would please whoever asks (False below a `not`)."""
    truth = _truth(node, reading)
    match node:
        case Constant():
            return Explanation(node.text, truth)
        case All() | AnyOf():
            return Explanation(
                node.text, truth, "", tuple(explain(part, reading, wanted=wanted) for part in node.parts)
            )
        case Not():
            return _inverted(node, reading, wanted=wanted)
        case Is():
            return _asked(node, reading, wanted=wanted)
        case _:
            return Explanation(node.text, truth, _detail(node, reading, wanted=wanted))


def show(value: Value, found: Any) -> str:
    """Return a value in words: `19.99`, `"pro"`, `2026-11-01T00:00:00Z`, `never`, `unknown`."""
    if found is None:
        return "unknown"
    kind = type_of(value)
    if isinstance(found, float) and isinf(found):
        return "endless (it never happened)"
    if kind == "instant":
        return "never" if found <= NEVER else to_iso(found)
    if kind == "decimal":
        return _decimal(found, scale_of(value))
    if kind == "text":
        return f'"{found}"'
    if kind == "set":
        left_out = f"{len(found) - _SHOWN_MAX} more, " if len(found) > _SHOWN_MAX else ""
        return "[" + left_out + ", ".join(f'"{text}"' for text in found[-_SHOWN_MAX:]) + "]"
    if kind == "bool":
        return "yes" if found else "no"
    return str(found)


def _decimal(number: int, scale: int) -> str:
    digits = f"{abs(number):0{scale + 1}d}"
    point = len(digits) - scale
    return f"{'-' if number < 0 else ''}{digits[:point]}" + (f".{digits[point:]}" if scale else "")


def _truth(node: Node, reading: Reading) -> Truth:
    return TRUTHS[answerer(node)(reading.facts, reading.now, reading.zone)]


def _inverted(node: Not, reading: Reading, *, wanted: bool) -> Explanation:
    """A `not` before a single comparison is one line, before more it has a part."""
    part = explain(node.part, reading, wanted=not wanted)
    if part.parts:
        return Explanation(node.text, ~part.truth, "", (part,))
    return Explanation(node.text, ~part.truth, part.detail)


def _asked(node: Is, reading: Reading, *, wanted: bool) -> Explanation:
    """`satisfied is not no`: the answer that was found, and those that would do."""
    truth = _truth(node, reading)
    accepted = node.among if wanted else frozenset(Truth) - node.among
    part = explain(node.part, reading, wanted=Truth.YES in accepted)
    if part.parts:
        return Explanation(node.text, truth, "", (part,))
    found = f"{part.text} is {part.truth.value}"
    if part.truth in accepted:
        return Explanation(node.text, truth, found)
    words = [one.value for one in Truth if one in accepted]
    return Explanation(node.text, truth, f"{found}, needs {' or '.join(words)}")


def _detail(node: Node, reading: Reading, *, wanted: bool) -> str:
    truth = _truth(node, reading)
    found = _found(node, reading)
    pleased = truth is (Truth.YES if wanted else Truth.NO)
    detail = found if pleased else f"{found}, needs {_needs(node, wanted=wanted)}"
    return detail + _when(node, reading, pleased=pleased)


def _found(node: Node, reading: Reading) -> str:
    if isinstance(node, Flag):
        return f"{node.text} is {_truth(node, reading).value}"
    seen = {
        _label(value): show(value, reader(value)(reading.facts, reading.now, reading.zone))
        for value in values_of(node)
        if not isinstance(value, Fixed)
    }
    return ", ".join(f"{label} is {shown}" for label, shown in seen.items())


def _label(value: Value) -> str:
    """Return the value as written, a long list of arguments as dots."""
    if len(value.text) <= _LABEL_MAX or "(" not in value.text:
        return value.text
    return value.text[: value.text.index("(")] + "(...)"


def _needs(node: Node, *, wanted: bool) -> str:
    match node:
        case Flag():
            return "yes" if wanted else "no"
        case Known():
            return "a value" if wanted else "to be unknown"
        case Compare():
            return f"{node.op if wanted else OPPOSITE[node.op]} {show(node.value, node.bound)}"
        case OneOf():
            options = ", ".join(show(node.value, option) for option in node.options)
            return f"{'one' if wanted else 'none'} of {options}"
        case Contains():
            return f"{'' if wanted else 'not '}to hold {node.item.text}"
        case Same():
            return f"{'the same text' if wanted else 'different texts'}"
        case Balance():
            return node.text if wanted else f"not {node.text}"
        case _:
            return node.text


def _when(node: Node, reading: Reading, *, pleased: bool) -> str:
    """Say when time alone will change the answer."""
    if not moves(node):
        return ""
    at = next_change(foresee(node), reading.facts, reading.now, reading.zone)
    if at is None or at >= reading.now + HORIZON:
        return ""
    return f", until {to_iso(at)}" if pleased else f": becomes true at {to_iso(at)}"
