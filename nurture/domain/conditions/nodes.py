"""The tree of a parsed condition, which all four readings walk.

Values are compared; nodes answer yes, no or unknown. Every number is an integer in the scale of its fact and
every instant is microseconds, so no reading converts anything. `text` is the part of the condition that a node
was parsed from, for explanations.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from nurture.domain.conditions.terms import TermType, Truth
from nurture.domain.instant import Duration

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Unit = Literal["hour", "weekday", "day", "month"]
PlainValue = bool | int | str | tuple[str, ...]

#: Operator -> the test it makes of two values.
TESTS: Mapping[Operator, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)

#: `a op b` is the same as `b FLIPPED[op] a`.
FLIPPED: Mapping[Operator, Operator] = MappingProxyType(
    {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
)

#: `not (a op b)` is the same as `a OPPOSITE[op] b`.
OPPOSITE: Mapping[Operator, Operator] = MappingProxyType(
    {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
)


# ---- values ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """A value stored in the facts under `key`; a window reads as the count of its instants."""

    text: str
    key: str
    type: TermType
    # The value that a missing one stands for; None: it is unknown.
    absent: PlainValue | None = None
    scale: int = 0
    within: Duration = 0
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value written in the condition; decimals as value x 10^scale."""

    text: str
    value: int | str
    type: Literal["integer", "decimal", "instant", "text"]
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Extreme:
    """The latest (or earliest) of several instants; unknown when one of them is."""

    text: str
    of: tuple["Value", ...]
    latest: bool = True


@dataclass(frozen=True, slots=True)
class Days:
    """Whole 24 h periods since (or until) an instant; infinite for an event that never happened."""

    text: str
    of: "Value"
    until: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """The hour, weekday (`mon`), day of the month or month of now in the contact's zone."""

    text: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Now:
    """The instant at which the condition is asked."""

    text: str


@dataclass(frozen=True, slots=True)
class Default:
    """A value, or another value where the first is unknown."""

    text: str
    value: "Value"
    otherwise: "Value"


Value = Stored | Fixed | Extreme | Days | Local | Now | Default


# ---- nodes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """True or False, always."""

    text: str
    value: bool


@dataclass(frozen=True, slots=True)
class All:
    """Every part: Kleene's and."""

    text: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part: Kleene's or."""

    text: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a part; unknown stays unknown."""

    text: str
    part: "Node"


@dataclass(frozen=True, slots=True)
class Is:
    """True when the part's answer is one of these; never unknown."""

    text: str
    part: "Node"
    among: frozenset[Truth]


@dataclass(frozen=True, slots=True)
class Known:
    """True when a value is known; never unknown."""

    text: str
    value: Value


@dataclass(frozen=True, slots=True)
class Flag:
    """A stored bool or verdict."""

    text: str
    fact: Stored


@dataclass(frozen=True, slots=True)
class Compare:
    """One value against a fixed one: numbers and instants as integers, text with `==` and `!=` only."""

    text: str
    value: Value
    op: Operator
    bound: int | str


@dataclass(frozen=True, slots=True)
class Balance:
    """Several numbers (or two instants) against each other: sum of factor x value, plus constant, op 0."""

    text: str
    parts: tuple[tuple[int, Value], ...]
    constant: int
    op: Operator


@dataclass(frozen=True, slots=True)
class Same:
    """Two texts are equal."""

    text: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value is among fixed ones."""

    text: str
    value: Value
    options: tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A set holds a text."""

    text: str
    within: Value
    item: Value


Node = Constant | All | AnyOf | Not | Is | Known | Flag | Compare | Balance | Same | OneOf | Contains

#: The classes above, to tell an answer from a value.
NODES = (Constant, All, AnyOf, Not, Is, Known, Flag, Compare, Balance, Same, OneOf, Contains)


# ---- properties of values and nodes ----------------------------------------------------------------------


def type_of(value: Value) -> TermType:
    """Return the type a value is compared as; a window counts as integer."""
    match value:
        case Stored():
            return "integer" if value.type == "window" else value.type
        case Fixed():
            return value.type
        case Extreme() | Now():
            return "instant"
        case Days():
            return "integer"
        case Local():
            return "text" if value.unit == "weekday" else "integer"
        case Default():
            return type_of(value.value)


def scale_of(value: Value) -> int:
    """Return how many decimal digits a number's integer holds."""
    if isinstance(value, Default):
        return scale_of(value.value)
    return value.scale if isinstance(value, Stored | Fixed) else 0


def is_moving(value: Value) -> bool:
    """Tell whether the value changes with time alone."""
    match value:
        case Days() | Local() | Now():
            return True
        case Stored():
            return value.type == "window"
        case Default():
            return is_moving(value.value) or is_moving(value.otherwise)
        case _:
            return False


def values_of(node: Node) -> tuple[Value, ...]:
    """Return the values that a leaf compares; none for nodes made of parts."""
    match node:
        case Known() | Compare() | OneOf():
            return (node.value,)
        case Flag():
            return (node.fact,)
        case Balance():
            return tuple(value for _, value in node.parts)
        case Same():
            return (node.left, node.right)
        case Contains():
            return (node.within, node.item)
        case _:
            return ()


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the nodes a node is made of."""
    match node:
        case All() | AnyOf():
            return node.parts
        case Not() | Is():
            return (node.part,)
        case _:
            return ()


def leaves(node: Node) -> Iterator[Node]:
    """Yield every node that compares values."""
    parts = parts_of(node)
    if not parts:
        yield node
    for part in parts:
        yield from leaves(part)


def stored_keys(node: Node) -> frozenset[str]:
    """Return the keys of all stored values that the answer depends on."""
    return frozenset(key for leaf in leaves(node) for value in values_of(leaf) for key in _keys_of(value))


def _keys_of(value: Value) -> Iterator[str]:
    match value:
        case Stored():
            yield value.key
        case Extreme():
            for part in value.of:
                yield from _keys_of(part)
        case Days():
            yield from _keys_of(value.of)
        case Default():
            yield from _keys_of(value.value)
            yield from _keys_of(value.otherwise)
        case _:
            return


def answer_moves(node: Node) -> bool:
    """Tell whether the answer can change with time alone.

    Whether a value is known never changes with time; the answer inside an `is` may.
    """
    return any(
        not isinstance(leaf, Known) and any(is_moving(value) for value in values_of(leaf))
        for leaf in leaves(node)
    )


def reads_local_time(node: Node) -> bool:
    """Tell whether the answer depends on the contact's time zone."""
    return any(_is_local(value) for leaf in leaves(node) for value in values_of(leaf))


def _is_local(value: Value) -> bool:
    match value:
        case Local():
            return True
        case Default():
            return _is_local(value.value) or _is_local(value.otherwise)
        case Extreme():
            return any(_is_local(part) for part in value.of)
        case Days():
            return _is_local(value.of)
        case _:
            return False


def answer_only_grows(node: Node) -> bool:
    """Tell whether the answer, once yes, stays yes as facts grow; the evidence of a stage must do so."""
    match node:
        case Constant():
            return True
        case All() | AnyOf():
            return all(answer_only_grows(part) for part in node.parts)
        case Is():
            return node.among == {Truth.YES} and answer_only_grows(node.part)
        case Not():
            return False
        case _:
            return _leaf_only_grows(node)


def _leaf_only_grows(node: Known | Flag | Compare | Balance | Same | OneOf | Contains) -> bool:
    match node:
        case Known():
            return isinstance(node.value, Stored) and node.value.grows
        case Flag():
            return node.fact.grows and node.fact.type == "bool"
        case Compare():
            return node.op in {">", ">="} and _value_only_grows(node.value)
        case Balance():
            return _balance_only_grows(node)
        case Contains():
            return _value_only_grows(node.within) and isinstance(node.item, Fixed)
        case _:
            return False


def _balance_only_grows(node: Balance) -> bool:
    if not all(_value_only_grows(value) for _, value in node.parts):
        return False
    if node.op in {">", ">="}:
        return all(factor > 0 for factor, _ in node.parts)
    return node.op in {"<", "<="} and all(factor < 0 for factor, _ in node.parts)


def _value_only_grows(value: Value) -> bool:
    return isinstance(value, Stored) and value.grows and value.type != "window"
