"""Names, literals and functions of a condition: everything that has a value."""

import ast
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from nurture.domain.conditions.nodes import (
    NODES,
    Days,
    Extreme,
    Fixed,
    Local,
    Plain,
    Stored,
    Unit,
    Value,
    type_of,
)
from nurture.domain.conditions.scope import Scope, Sum, describe
from nurture.domain.conditions.syntax import nearest
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import NEVER

#: Stored numbers are 64-bit integers in both databases.
NUMBER_MAX = 2**63 - 1
_DIGITS_MAX = 18
_EVENT_NAME_MAX = 200

Build = Callable[[ast.expr, Scope], Any]

_UNITS: Mapping[str, Unit] = {
    "local_hour": "hour",
    "local_weekday": "weekday",
    "local_day": "day",
    "local_month": "month",
}
#: What a missing value reads as, where it is not unknown; a window reads as a count.
_ABSENT: Mapping[tuple[str, str], Plain] = {
    ("bool", "no"): False,
    ("integer", "zero"): 0,
    ("decimal", "zero"): 0,
    ("window", "zero"): 0,
    ("window", "empty"): 0,
    ("instant", "never"): NEVER,
    ("text", "empty"): "",
    ("set", "empty"): (),
}
_EXAMPLES = {
    "count": 'count("Order Completed")',
    "days_since": "days_since(first_order_at)",
    "days_until": "days_until(renewal_at)",
    "first": 'first("Order Completed")',
    "known": "known(orders)",
    "last": 'last("Order Completed")',
    "local_day": "local_day()",
    "local_hour": "local_hour()",
    "local_month": "local_month()",
    "local_weekday": "local_weekday()",
    "max": "max(first_order_at, last_order_at)",
    "min": "min(first_order_at, last_order_at)",
    "silent_days": 'silent_days("Order Completed", "Signed In")',
}
_SLIPS = {
    "true": "write True",
    "false": "write False",
    "null": "write not known(x)",
    "nil": "write not known(x)",
}


# ---- literals and names ----------------------------------------------------------------------------------


def literal(tree: ast.Constant, scope: Scope) -> Value | Sum:
    """Read a number or a text. Raises ConditionError for any other literal and for numbers beyond 64 bits."""
    value = tree.value
    if isinstance(value, str):
        return Fixed(scope.source.piece(tree), value, "text")
    if isinstance(value, int | float):
        # Beyond 64 bits (or infinite) is refused before the exact value is made: it could fill the memory.
        if abs(value) > NUMBER_MAX:
            raise scope.fault(tree, "the number is too large; 64 bits are kept")
        return Sum((), Fraction(value) if isinstance(value, int) else _exact(tree, scope))
    if value is None:
        raise scope.fault(tree, "None is not read; write not known(x)")
    raise scope.fault(tree, f"{scope.source.piece(tree)} is not read; write a number, a text, True or False")


def _exact(tree: ast.Constant, scope: Scope) -> Fraction:
    """Return `19.99` as written, not as the nearest binary number."""
    written = Decimal(scope.source.piece(tree))
    exponent = written.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DIGITS_MAX:
        raise scope.fault(tree, f"the number has more than {_DIGITS_MAX} digits after the point")
    return Fraction(written)


def stored(tree: ast.Name | ast.Attribute, scope: Scope) -> Stored:
    """Read the name of a fact, with dots or without. Raises ConditionError for a name there is not."""
    name = _dotted(tree, scope)
    term = scope.vocabulary.term(name)
    if term is None:
        raise scope.fault(tree, f"there is no fact {name}{_advice(name, scope)}")
    scope.terms.add(name)
    absent = _ABSENT.get((term.type, term.absent))
    return Stored(name, name, term.type, absent, scale=term.scale, within=term.within, grows=term.grows)


def _dotted(tree: ast.expr, scope: Scope) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value, scope)}.{tree.attr}"
    raise scope.fault(tree, "a dot stands only inside a name, for example cart.open")


def _advice(name: str, scope: Scope) -> str:
    if name in _EXAMPLES:
        return f"; the function is written {_EXAMPLES[name]}"
    if name in {truth.value for truth in Truth}:
        return f"; `{name}` stands only after `is`"
    if name.lower() in _SLIPS:
        return f"; {_SLIPS[name.lower()]}"
    return nearest(name, scope.vocabulary.names())


def total(built: Any, *, at: ast.expr, scope: Scope) -> Sum:
    """Return a number as a sum. Raises ConditionError for what is no number."""
    if isinstance(built, Sum):
        return built
    if isinstance(built, NODES) or type_of(built) not in {"integer", "decimal"}:
        advice = "; write days_since(...) or days_until(...)" if describe(built) == "an instant" else ""
        raise scope.fault(at, f"{scope.source.piece(at)} is {describe(built)}, not a number{advice}")
    return Sum(((1, built),))


# ---- functions -------------------------------------------------------------------------------------------


def call(tree: ast.Call, build: Build, scope: Scope) -> Value:
    """Read a function call. Raises ConditionError for a function there is not and for wrong arguments."""
    if not isinstance(tree.func, ast.Name):
        raise scope.fault(tree, "only functions are called, for example " + _EXAMPLES["last"])
    name, text = tree.func.id, scope.source.piece(tree)
    if name in _UNITS:
        arguments(tree, 0, f"{name}()", scope)
        return Local(text, _UNITS[name])
    if name in {"days_since", "days_until"}:
        (argument,) = arguments(tree, 1, _EXAMPLES[name], scope)
        return Days(text, _instant(argument, build, scope), until=name == "days_until")
    if name in {"min", "max"}:
        found = arguments(tree, None, _EXAMPLES[name], scope)
        return Extreme(text, tuple(_instant(one, build, scope) for one in found), latest=name == "max")
    if name in {"count", "first", "last"}:
        (argument,) = arguments(tree, 1, _EXAMPLES[name], scope)
        return _of_event(name, argument, scope)
    if name == "silent_days":
        return _silent_days(tree, text, scope)
    raise scope.fault(tree, f"there is no function {name}(){nearest(name, _EXAMPLES)}")


def arguments(tree: ast.Call, number: int | None, example: str, scope: Scope) -> list[ast.expr]:
    """Return the arguments of a call; `number` None: at least one. Raises ConditionError with the example."""
    found = tree.args
    wrong = len(found) != number if number is not None else not found
    if wrong or tree.keywords:
        raise scope.fault(tree, f"{scope.source.piece(tree)} is not read; write for example {example}")
    return found


def _instant(tree: ast.expr, build: Build, scope: Scope) -> Value:
    built = build(tree, scope)
    if isinstance(built, (*NODES, Sum)) or type_of(built) != "instant":
        raise scope.fault(tree, f"{scope.source.piece(tree)} is {describe(built)}; an instant is needed")
    value: Value = built
    return value


def _of_event(name: str, tree: ast.expr, scope: Scope) -> Stored:
    event = _event_name(tree, scope)
    text = f'{name}("{event}")'
    if name == "count":
        return Stored(text, f"count:{event}", "integer", 0, grows=True)
    # The first of something moves back when a late event comes in, so it does not only grow.
    return Stored(text, f"{name}:{event}", "instant", NEVER, grows=name == "last")


def _event_name(tree: ast.expr, scope: Scope) -> str:
    if not scope.vocabulary.built_ins:
        raise scope.fault(tree, "what happened before is not known here; this condition reads one event only")
    if not isinstance(tree, ast.Constant) or not isinstance(tree.value, str) or not tree.value.strip():
        raise scope.fault(
            tree, f'{scope.source.piece(tree)}: write the event\'s name in quotes: "Order Completed"'
        )
    name = tree.value
    if len(name) > _EVENT_NAME_MAX or '"' in name or not name.isprintable():
        raise scope.fault(
            tree, f"an event's name has at most {_EVENT_NAME_MAX} printable characters and no \""
        )
    scope.events.add(name)
    return name


def _silent_days(tree: ast.Call, text: str, scope: Scope) -> Days:
    """Days since the last of several events, or since the contact was first seen."""
    found = arguments(tree, None, _EXAMPLES["silent_days"], scope)
    seen = Stored("first_seen_at", "first_seen_at", "instant")
    lasts = tuple(_of_event("last", one, scope) for one in found)
    return Days(text, Extreme(text, (*lasts, seen)))
