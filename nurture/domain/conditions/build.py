"""Build the nodes of a condition from Python's syntax tree: the whitelist and the types of the language."""

import ast
from collections.abc import Callable, Mapping
from itertools import pairwise

from nurture.domain.conditions import compare, values
from nurture.domain.conditions.nodes import (
    NODES,
    All,
    AnyOf,
    Constant,
    Default,
    Fixed,
    Flag,
    Is,
    Known,
    Node,
    Not,
    Stored,
    Value,
    type_of,
)
from nurture.domain.conditions.scope import BuildScope, Sum, describe
from nurture.domain.conditions.terms import Truth

#: A piece of a condition: a node that answers, a value, or a sum of values not yet compared.
BuiltPart = Node | Value | Sum

_ANSWERS = {truth.value: truth for truth in Truth}

#: Syntax of Python that conditions do not have, with what to write instead.
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.IfExp: "`... if ... else ...` is not supported; write it with and/or",
    ast.Subscript: "`[...]` after a name is not supported",
    ast.Lambda: "`lambda` is not supported",
    ast.NamedExpr: "`:=` is not supported; write `==` to compare",
    ast.JoinedStr: "f-texts are not supported; write plain text",
    ast.Dict: "`{...}` is not supported",
    ast.Set: "`{...}` is not supported; write a list: [...]",
    ast.List: "a list is allowed only after `in`",
    ast.Tuple: "a list is allowed only after `in`; write and/or between conditions",
    ast.Starred: "`*` is not supported",
}


def build_node(tree: ast.expr, scope: BuildScope) -> Node:
    """Return the node of a piece of syntax that answers yes, no or unknown. Raises ConditionError for a value."""
    built = build(tree, scope)
    if isinstance(built, NODES):
        return built
    text = scope.source.piece(tree)
    advice = {
        "text": f'compare it, for example {text} == "..."',
        "set": f'ask what it contains, for example "..." in {text}',
        "instant": f"compare it, for example days_since({text}) >= 1",
    }.get("number" if isinstance(built, Sum) else type_of(built), f"compare it, for example {text} >= 1")
    raise scope.fault(tree, f"{text} is {describe(built)}, not a condition; {advice}")


def build(tree: ast.expr, scope: BuildScope) -> BuiltPart:
    """Return the node, value or sum of a piece of syntax. Raises ConditionError for syntax outside the language."""
    builder = _BUILDERS.get(type(tree))
    if builder is None:
        name = type(tree).__name__
        raise scope.fault(tree, _REFUSED.get(type(tree), f"{name} is not supported in a condition"))
    return builder(tree, scope)


def _constant(tree: ast.Constant, scope: BuildScope) -> BuiltPart:
    if isinstance(tree.value, bool):
        return Constant(scope.source.piece(tree), tree.value)
    return values.build_literal(tree, scope)


def _name(tree: ast.Name | ast.Attribute, scope: BuildScope) -> BuiltPart:
    fact = values.build_stored(tree, scope)
    return Flag(fact.text, fact) if isinstance(fact, Stored) and fact.type in {"bool", "verdict"} else fact


def _bool_op(tree: ast.BoolOp, scope: BuildScope) -> BuiltPart:
    text = scope.source.piece(tree)
    if isinstance(tree.op, ast.And):
        return All(text, tuple(build_node(part, scope) for part in tree.values))
    first = build(tree.values[0], scope)
    if isinstance(first, NODES):
        return AnyOf(text, (first, *(build_node(part, scope) for part in tree.values[1:])))
    return _default(text, first, tree, scope)


def _default(text: str, first: Value | Sum, tree: ast.BoolOp, scope: BuildScope) -> Value:
    """Build `x or y or 0`: the first value that is known."""
    value, *others = tree.values
    if isinstance(first, Sum | Fixed):
        raise scope.fault(
            value, f"{scope.source.piece(value)} is no single fact; write (x or 0) for each of its parts"
        )
    choices: list[Value] = [first]
    for other in others:
        built = build(other, scope)
        if isinstance(built, NODES):
            piece = scope.source.piece(other)
            raise scope.fault(
                other, f"{piece} is {describe(built)}; a default for {first.text} is {describe(first)}"
            )
        choices.append(compare.match_type(first, built, at=other, scope=scope))
    result = choices.pop()
    while choices:
        result = Default(text, choices.pop(), result)
    return result


def _unary(tree: ast.UnaryOp, scope: BuildScope) -> BuiltPart:
    if isinstance(tree.op, ast.Not):
        return Not(scope.source.piece(tree), build_node(tree.operand, scope))
    if isinstance(tree.op, ast.USub | ast.UAdd):
        operand = values.as_sum(build(tree.operand, scope), at=tree.operand, scope=scope)
        return operand.negated() if isinstance(tree.op, ast.USub) else operand
    raise scope.fault(tree, "`~` is not supported; write `not`")


def _bin_op(tree: ast.BinOp, scope: BuildScope) -> BuiltPart:
    if not isinstance(tree.op, ast.Add | ast.Sub):
        message = "only + and - are supported between numbers; make a fact of anything else"
        if isinstance(tree.op, ast.BitAnd | ast.BitOr):
            message = "`&` and `|` are not supported; write and/or"
        raise scope.fault(tree, message)
    left = values.as_sum(build(tree.left, scope), at=tree.left, scope=scope)
    right = values.as_sum(build(tree.right, scope), at=tree.right, scope=scope)
    both = left.plus(right if isinstance(tree.op, ast.Add) else right.negated())
    compare.check_one_moves(both, at=tree, scope=scope)
    return both


def _compare(tree: ast.Compare, scope: BuildScope) -> BuiltPart:
    """Build a comparison; a chain such as `1 <= x < 5` is both comparisons."""
    text = scope.source.piece(tree)
    pairs = list(pairwise([tree.left, *tree.comparators]))
    made = tuple(
        _pair(left, op, right, text=text if len(pairs) == 1 else None, scope=scope)
        for (left, right), op in zip(pairs, tree.ops, strict=True)
    )
    return made[0] if len(made) == 1 else All(text, made)


def _pair(left: ast.expr, op: ast.cmpop, right: ast.expr, *, text: str | None, scope: BuildScope) -> Node:
    text = text or f"{_bracketed(left, scope)} {compare.SIGNS[type(op)]} {_bracketed(right, scope)}"
    if isinstance(op, ast.Is | ast.IsNot):
        return _is(left, right, text=text, negated=isinstance(op, ast.IsNot), scope=scope)
    if isinstance(op, ast.In | ast.NotIn):
        return compare.build_membership(
            left, right, build, text=text, negated=isinstance(op, ast.NotIn), scope=scope
        )
    first, second = build(left, scope), build(right, scope)
    if isinstance(first, NODES) or isinstance(second, NODES):
        return _switch(first, second, op, text=text, at=(left, right), scope=scope)
    return compare.build_comparison(first, op, second, text=text, at=(left, right), scope=scope)


def _bracketed(tree: ast.expr, scope: BuildScope) -> str:
    """Return a side of a comparison as written, with the brackets that the tree does not keep."""
    piece = scope.source.piece(tree)
    return f"({piece})" if isinstance(tree, ast.BoolOp | ast.Compare) else piece


def _is(left: ast.expr, right: ast.expr, *, text: str, negated: bool, scope: BuildScope) -> Node:
    wanted = _ANSWERS.get(right.id) if isinstance(right, ast.Name) else None
    if wanted is None:
        raise scope.fault(right, "write yes, no or unknown after `is`; compare values with `==`")
    built = build(left, scope)
    if not isinstance(built, NODES):
        name = scope.source.piece(left)
        raise scope.fault(
            left, f"{name} is {describe(built)} and answers nothing by itself; write known({name})"
        )
    return Is(text, built, frozenset(Truth) - {wanted} if negated else frozenset({wanted}))


def _switch(
    first: BuiltPart,
    second: BuiltPart,
    op: ast.cmpop,
    *,
    text: str,
    at: tuple[ast.expr, ast.expr],
    scope: BuildScope,
) -> Node:
    """Build `vip == True`: a bool compared with True or False."""
    if isinstance(first, Constant):
        first, second = second, first
    if not isinstance(first, NODES) or not isinstance(second, NODES):
        left, right = (scope.source.piece(side) for side in at)
        raise scope.fault(
            at[1],
            f"{left} is {describe(first)}, {right} is {describe(second)}: compare values of the same kind",
        )
    if not isinstance(second, Constant) or not isinstance(op, ast.Eq | ast.NotEq):
        raise scope.fault(
            at[1], f"{text}: an answer is compared with `== True` or `is yes`, joined by and/or"
        )
    same = second.value == isinstance(op, ast.Eq)
    return first if same else Not(text, first)


def _call(tree: ast.Call, scope: BuildScope) -> BuiltPart:
    if isinstance(tree.func, ast.Name) and tree.func.id == "known":
        return _known(tree, scope)
    value = values.build_call(tree, build, scope)
    return Flag(value.text, value) if isinstance(value, Stored) and value.type == "bool" else value


def _known(tree: ast.Call, scope: BuildScope) -> Node:
    text = scope.source.piece(tree)
    (argument,) = values.read_arguments(tree, 1, "known(orders)", scope)
    built = build(argument, scope)
    if isinstance(built, NODES):
        return Is(text, built, frozenset({Truth.YES, Truth.NO}))
    asked = tuple(value for _, value in built.parts) if isinstance(built, Sum) else (built,)
    if not asked:
        raise scope.fault(argument, f"{scope.source.piece(argument)} is always known")
    parts = tuple(Known(f"known({value.text})", value) for value in asked)
    return parts[0] if len(parts) == 1 else All(text, parts)


_BUILDERS: Mapping[type[ast.AST], Callable[..., BuiltPart]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _name,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary,
    ast.BinOp: _bin_op,
    ast.Compare: _compare,
    ast.Call: _call,
}
