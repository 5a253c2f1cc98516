"""Build the values of a condition: names, literals and functions."""

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
    Now,
    PlainValue,
    Stored,
    Unit,
    Value,
    is_moving,
    type_of,
)
from nurture.domain.conditions.scope import BuildScope, Sum, describe
from nurture.domain.conditions.syntax import suggest_nearest
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import NEVER

#: Stored numbers are 64-bit integers in both databases.
NUMBER_MAX = 2**63 - 1
_DIGITS_MAX = 18
_EVENT_NAME_MAX = 200

Build = Callable[[ast.expr, BuildScope], Any]

_UNITS: Mapping[str, Unit] = {
    "local_hour": "hour",
    "local_weekday": "weekday",
    "local_day": "day",
    "local_month": "month",
}
#: (type, absent) -> the value that a missing one reads as; a window reads as a count.
_ABSENT: Mapping[tuple[str, str], PlainValue] = {
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
    "in_measure": 'in_measure("customer/any/winback")',
    "known": "known(orders)",
    "last": 'last("Order Completed")',
    "last_sent": 'last_sent("customer/any/winback")',
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


def build_literal(tree: ast.Constant, scope: BuildScope) -> Value | Sum:
    """Return the value of a number or text. Raises ConditionError for other literals and numbers beyond 64 bits."""
    value = tree.value
    if isinstance(value, str):
        return Fixed(scope.source.piece(tree), value, "text")
    if isinstance(value, int | float):
        # Refused before the exact value is computed, which could fill the memory.
        if abs(value) > NUMBER_MAX:
            raise scope.fault(tree, "the number is too large; 64 bits are kept")
        return Sum((), Fraction(value) if isinstance(value, int) else _exact(tree, scope))
    if value is None:
        raise scope.fault(tree, "None is not supported; write not known(x)")
    raise scope.fault(
        tree, f"{scope.source.piece(tree)} is not supported; write a number, a text, True or False"
    )


def _exact(tree: ast.Constant, scope: BuildScope) -> Fraction:
    """Return exactly the decimal number as written, not the nearest binary number."""
    written = Decimal(scope.source.piece(tree))
    exponent = written.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DIGITS_MAX:
        raise scope.fault(tree, f"the number has more than {_DIGITS_MAX} digits after the point")
    return Fraction(written)


def build_stored(tree: ast.Name | ast.Attribute, scope: BuildScope) -> Stored | Now:
    """Return the value of a fact's name, with dots or without, or `now`. Raises ConditionError for an unknown name."""
    name = _dotted(tree, scope)
    term = scope.vocabulary.term(name)
    if term is None and name == "now":
        return Now(name)
    if term is None:
        if (amount := _first_amount(name, scope)) is not None:
            raise scope.fault(tree, f"{name} is kept per currency; write {amount}")
        raise scope.fault(tree, f"there is no fact {name}{_advice(name, scope)}")
    scope.terms.add(name)
    absent = _ABSENT.get((term.type, term.absent))
    return Stored(name, name, term.type, absent, scale=term.scale, within=term.within, grows=term.grows)


def _dotted(tree: ast.expr, scope: BuildScope) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value, scope)}.{tree.attr}"
    raise scope.fault(tree, "a dot is allowed only inside a name, for example cart.open")


def _first_amount(name: str, scope: BuildScope) -> str | None:
    """Return the first fact `NAME.CURRENCY`, None for a name that stands for no amounts."""
    amounts = (other for other in scope.vocabulary.names() if other.startswith(f"{name}."))
    return min((other for other in amounts if other.removeprefix(f"{name}.").isupper()), default=None)


def _advice(name: str, scope: BuildScope) -> str:
    if name in _EXAMPLES:
        return f"; the function is written {_EXAMPLES[name]}"
    if name in {truth.value for truth in Truth}:
        return f"; `{name}` is allowed only after `is`"
    if name.lower() in _SLIPS:
        return f"; {_SLIPS[name.lower()]}"
    return suggest_nearest(name, scope.vocabulary.names())


def as_sum(built: Any, *, at: ast.expr, scope: BuildScope) -> Sum:
    """Return a number as a sum. Raises ConditionError for anything that is no number."""
    if isinstance(built, Sum):
        return built
    if isinstance(built, NODES) or type_of(built) not in {"integer", "decimal"}:
        advice = "; write days_since(...) or days_until(...)" if describe(built) == "an instant" else ""
        raise scope.fault(at, f"{scope.source.piece(at)} is {describe(built)}, not a number{advice}")
    return Sum(((1, built),))


# ---- functions -------------------------------------------------------------------------------------------


def build_call(tree: ast.Call, build: Build, scope: BuildScope) -> Value:
    """Return the value of a function call. Raises ConditionError for an unknown function or wrong arguments."""
    if not isinstance(tree.func, ast.Name):
        raise scope.fault(tree, "only functions are called, for example " + _EXAMPLES["last"])
    name, text = tree.func.id, scope.source.piece(tree)
    if name in _UNITS:
        read_arguments(tree, 0, f"{name}()", scope)
        return Local(text, _UNITS[name])
    if name in {"days_since", "days_until"}:
        (argument,) = read_arguments(tree, 1, _EXAMPLES[name], scope)
        return Days(text, _instant(argument, build, scope), until=name == "days_until")
    if name in {"min", "max"}:
        trees = read_arguments(tree, None, _EXAMPLES[name], scope)
        instants = tuple(_instant(argument, build, scope) for argument in trees)
        return Extreme(text, instants, latest=name == "max")
    if name in {"count", "first", "last"}:
        (argument,) = read_arguments(tree, 1, _EXAMPLES[name], scope)
        return _event_value(name, argument, scope)
    if name == "silent_days":
        return _silent_days(tree, text, scope)
    if name in {"in_measure", "last_sent"}:
        (argument,) = read_arguments(tree, 1, _EXAMPLES[name], scope)
        return _measure_value(name, argument, scope)
    raise scope.fault(tree, f"there is no function {name}(){suggest_nearest(name, _EXAMPLES)}")


def read_arguments(tree: ast.Call, number: int | None, example: str, scope: BuildScope) -> list[ast.expr]:
    """Return the arguments of a call; `number` None: at least one. Raises ConditionError with the example."""
    trees = tree.args
    wrong = len(trees) != number if number is not None else not trees
    if wrong or tree.keywords:
        raise scope.fault(tree, f"{scope.source.piece(tree)} is not supported; write for example {example}")
    return trees


def _instant(tree: ast.expr, build: Build, scope: BuildScope) -> Value:
    built = build(tree, scope)
    if isinstance(built, (*NODES, Sum)) or type_of(built) != "instant":
        raise scope.fault(tree, f"{scope.source.piece(tree)} is {describe(built)}; an instant is needed")
    if is_moving(built):
        raise scope.fault(
            tree, f"{scope.source.piece(tree)} moves with time; compare it: first_order_at < now"
        )
    value: Value = built
    return value


def _event_value(name: str, tree: ast.expr, scope: BuildScope) -> Stored:
    event = _event_name(tree, scope)
    text = f'{name}("{event}")'
    if name == "count":
        return Stored(text, f"count:{event}", "integer", 0, grows=True)
    # A late event makes the first instant earlier, so only `last` never shrinks.
    return Stored(text, f"{name}:{event}", "instant", NEVER, grows=name == "last")


def _event_name(tree: ast.expr, scope: BuildScope) -> str:
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


def _measure_value(name: str, tree: ast.expr, scope: BuildScope) -> Stored:
    """Build whether a run of a measure is active, or when a mail of it left last."""
    if not scope.vocabulary.built_ins:
        raise scope.fault(tree, "runs and mails are not known here; this condition reads one event only")
    path = tree.value if isinstance(tree, ast.Constant) else None
    if not isinstance(path, str) or not path.strip() or '"' in path or not path.isprintable():
        raise scope.fault(
            tree,
            f"{scope.source.piece(tree)}: write the path of a measure in quotes, for example {_EXAMPLES[name]}",
        )
    scope.measures.add(path)
    text = f'{name}("{path}")'
    if name == "in_measure":
        return Stored(text, in_measure_key(path), "bool", absent=False)
    return Stored(text, last_sent_key(path), "instant", NEVER)


def in_measure_key(path: str) -> str:
    """Return the key under which a reading says that a run of the measure is active."""
    return f"in:{path}"


def last_sent_key(path: str) -> str:
    """Return the key under which a reading says when a mail of the measure left last."""
    return f"sent:{path}"


def _silent_days(tree: ast.Call, text: str, scope: BuildScope) -> Days:
    """Build the days since the last of several events, or since the contact was first seen."""
    events = read_arguments(tree, None, _EXAMPLES["silent_days"], scope)
    seen = Stored("first_seen_at", "first_seen_at", "instant")
    lasts = tuple(_event_value("last", event, scope) for event in events)
    return Days(text, Extreme(text, (*lasts, seen)))
