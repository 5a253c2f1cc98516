"""Build comparisons: check that both sides may be compared, and bring them to whole numbers."""

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from nurture.domain.conditions.nodes import (
    FLIPPED,
    NODES,
    Balance,
    Compare,
    Contains,
    Fixed,
    Node,
    Not,
    OneOf,
    Operator,
    Same,
    Value,
    is_moving,
    scale_of,
    type_of,
)
from nurture.domain.conditions.scope import BuildScope, Sum, describe
from nurture.domain.conditions.values import NUMBER_MAX, as_sum
from nurture.domain.instant import parse_iso

Places = tuple[ast.expr, ast.expr]

SIGNS: Mapping[type[ast.cmpop], str] = MappingProxyType(
    {
        ast.Eq: "==",
        ast.NotEq: "!=",
        ast.Lt: "<",
        ast.LtE: "<=",
        ast.Gt: ">",
        ast.GtE: ">=",
        ast.Is: "is",
        ast.IsNot: "is not",
        ast.In: "in",
        ast.NotIn: "not in",
    }
)
_OPERATORS: Mapping[type[ast.cmpop], Operator] = MappingProxyType(
    {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
)
_NUMBERS = {"integer", "decimal"}
_TWO_MOVE = "two terms here move with time; compare a moving one with a fixed one"


def build_comparison(
    first: Value | Sum, sign: ast.cmpop, second: Value | Sum, *, text: str, at: Places, scope: BuildScope
) -> Node:
    """Build a comparison of two values. Raises ConditionError when they are of different kinds."""
    op = _OPERATORS[type(sign)]
    kinds = _kind(first), _kind(second)
    if kinds == ("instant", "text"):
        second, kinds = _date(second, at=at[1], scope=scope), ("instant", "instant")
    elif kinds == ("text", "instant"):
        first, kinds = _date(first, at=at[0], scope=scope), ("instant", "instant")
    if kinds[0] != kinds[1]:
        names = [scope.source.piece(side) for side in at]
        message = f"{names[0]} is {describe(first)}, {names[1]} is {describe(second)}: compare values of the same kind"
        raise scope.fault(at[1], message)
    if isinstance(first, Sum) or isinstance(second, Sum) or kinds[0] == "number":
        left, right = as_sum(first, at=at[0], scope=scope), as_sum(second, at=at[1], scope=scope)
        return _numbers(left, op, right, text=text, at=at, scope=scope)
    if isinstance(first, Fixed) and isinstance(second, Fixed):
        raise scope.fault(at[0], f"{text}: both sides are fixed; name a fact")
    if isinstance(first, Fixed):
        first, second, op, at = second, first, FLIPPED[op], (at[1], at[0])
    if kinds[0] == "instant":
        return _instants(first, op, second, text=text, at=at, scope=scope)
    return _texts(first, op, second, text=text, at=at, scope=scope)


def _kind(built: Value | Sum) -> str:
    kind = "integer" if isinstance(built, Sum) else type_of(built)
    return "number" if kind in _NUMBERS else kind


# ---- numbers ---------------------------------------------------------------------------------------------


def _numbers(left: Sum, op: Operator, right: Sum, *, text: str, at: Places, scope: BuildScope) -> Node:
    """Bring all values to one side and one scale, so that every reading computes in whole numbers."""
    difference = left.plus(right.negated())
    if not difference.parts:
        raise scope.fault(at[0], f"{text}: both sides are fixed; name a fact")
    check_one_moves(difference, at=at[1], scope=scope)
    scale = max(scale_of(value) for _, value in difference.parts)
    constant = _whole(difference.constant, scale, name=scope.source.piece(at[0]), at=at[1], scope=scope)
    if len(difference.parts) == 1:
        ((sign, value),) = difference.parts
        # sign * value + constant op 0
        return Compare(text, value, op if sign > 0 else FLIPPED[op], -sign * constant)
    parts = tuple((sign * 10 ** (scale - scale_of(value)), value) for sign, value in difference.parts)
    return Balance(text, parts, constant, op)


def check_one_moves(numbers: Sum, *, at: ast.expr, scope: BuildScope) -> None:
    """Raise ConditionError for two moving terms in one comparison: their next change cannot be computed."""
    if numbers.count_moving() > 1:
        raise scope.fault(at, _TWO_MOVE)


def _whole(number: Fraction, scale: int, *, name: str, at: ast.expr, scope: BuildScope) -> int:
    scaled = number * Fraction(10**scale)
    if scaled.denominator != 1:
        kept = f"keeps {scale} decimal digits" if scale else "is a whole number"
        raise scope.fault(at, f"{name} {kept}; what it is compared with has more")
    if abs(scaled.numerator) > NUMBER_MAX:
        raise scope.fault(at, "the number is too large; 64 bits are kept")
    return scaled.numerator


def match_type(first: Value, other: Value | Sum, *, at: ast.expr, scope: BuildScope) -> Value:
    """Return `other` as a value of the type and scale of `first`. Raises ConditionError when that is impossible."""
    kind = _kind(first)
    if _kind(other) == "text" and kind == "instant":
        other = _date(other, at=at, scope=scope)
    if _kind(other) != kind:
        raise scope.fault(
            at, f"{first.text} is {describe(first)}; {scope.source.piece(at)} is {describe(other)}"
        )
    if isinstance(other, Sum):
        if other.parts:
            raise scope.fault(at, f"{scope.source.piece(at)} is no single value; write a number or a fact")
        scale = scale_of(first)
        fixed = _whole(other.constant, scale, name=first.text, at=at, scope=scope)
        return Fixed(scope.source.piece(at), fixed, "decimal" if scale else "integer", scale)
    if scale_of(other) != scale_of(first):
        raise scope.fault(
            at, f"{first.text} and {scope.source.piece(at)} keep different numbers of decimal digits"
        )
    return other


# ---- instants and texts ----------------------------------------------------------------------------------


def _date(written: Value | Sum, *, at: ast.expr, scope: BuildScope) -> Value:
    """Read `"2026-11-01"` as an instant; without an offset it is UTC."""
    if not isinstance(written, Fixed) or not isinstance(written.value, str):
        raise scope.fault(at, f"{scope.source.piece(at)} is text; an instant is needed")
    try:
        return Fixed(written.text, parse_iso(written.value), "instant")
    except (ValueError, OverflowError) as error:
        raise scope.fault(at, f'{written.text} is no date; write for example "2026-11-01"') from error


def _instants(first: Value, op: Operator, second: Value, *, text: str, at: Places, scope: BuildScope) -> Node:
    if is_moving(first) and is_moving(second):
        raise scope.fault(at[1], _TWO_MOVE)
    if isinstance(second, Fixed) and isinstance(second.value, int):
        return Compare(text, first, op, second.value)
    return Balance(text, ((1, first), (-1, second)), 0, op)


def _texts(first: Value, op: Operator, second: Value, *, text: str, at: Places, scope: BuildScope) -> Node:
    if type_of(first) == "set":
        raise scope.fault(at[0], f'{first.text} is a set; ask what it contains: "..." in {first.text}')
    if op not in {"==", "!="}:
        raise scope.fault(at[1], f"{text}: texts have no order; compare them with == or !=")
    if is_moving(first) and is_moving(second):
        raise scope.fault(at[1], _TWO_MOVE)
    if isinstance(second, Fixed):
        return Compare(text, first, op, second.value)
    same = Same(text, first, second)
    return same if op == "==" else Not(text, same)


# ---- in --------------------------------------------------------------------------------------------------


def build_membership(
    left: ast.expr,
    right: ast.expr,
    build: Callable[[ast.expr, BuildScope], Any],
    *,
    text: str,
    negated: bool,
    scope: BuildScope,
) -> Node:
    """Build `value in [list]` or `text in set`. Raises ConditionError for anything else."""
    item = build(left, scope)
    if isinstance(item, NODES):
        raise scope.fault(left, f"{scope.source.piece(left)} is {describe(item)}; `in` takes a value")
    if isinstance(right, ast.List | ast.Tuple):
        node = _one_of(item, right, build, text=text, at=left, scope=scope)
    else:
        node = _contains(item, build(right, scope), text=text, at=(left, right), scope=scope)
    return Not(text, node) if negated else node


def _one_of(
    item: Value | Sum,
    options: ast.List | ast.Tuple,
    build: Callable[[ast.expr, BuildScope], Any],
    *,
    text: str,
    at: ast.expr,
    scope: BuildScope,
) -> Node:
    if isinstance(item, Sum | Fixed):
        raise scope.fault(at, f"{scope.source.piece(at)}: name one fact before `in`")
    if _kind(item) not in {"number", "text"}:
        raise scope.fault(at, f"{item.text} is {describe(item)}; `in [...]` takes a number or a text")
    if not options.elts:
        raise scope.fault(options, "the list is empty")
    values: list[Any] = []
    for tree in options.elts:
        built = build(tree, scope)
        if isinstance(built, NODES) or not isinstance(built, Sum | Fixed):
            raise scope.fault(tree, f"{scope.source.piece(tree)}: a list holds fixed numbers or texts only")
        option = match_type(item, built, at=tree, scope=scope)
        values.append(option.value if isinstance(option, Fixed) else None)
    return OneOf(text, item, tuple(dict.fromkeys(values)))


def _contains(item: Value | Sum, holder: Any, *, text: str, at: Places, scope: BuildScope) -> Node:
    if isinstance(holder, (*NODES, Sum)) or type_of(holder) != "set":
        name = scope.source.piece(at[1])
        raise scope.fault(at[1], f"{name} is {describe(holder)}; write a set or a list after `in`: [...]")
    if isinstance(item, Sum) or type_of(item) != "text":
        raise scope.fault(at[0], f"{scope.source.piece(at[0])} is {describe(item)}; sets hold texts")
    return Contains(text, holder, item)
