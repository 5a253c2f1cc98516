"""Truth of a condition for answered contact: each node and value is compiled once into a closure.

Inside, an answer is True, False, or None for unknown; an unknown value is None.
"""

# ruff: noqa: ARG001, ARG005 - all closures of a kind have the same signature

from bisect import bisect_right
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from nurture.domain.conditions.calendar import calendar_of, local_value
from nurture.domain.conditions.nodes import (
    TESTS,
    All,
    AnyOf,
    Balance,
    Compare,
    Constant,
    Contains,
    Days,
    Default,
    Extreme,
    Fixed,
    Flag,
    Is,
    Known,
    Local,
    Node,
    Not,
    Now,
    OneOf,
    Same,
    Stored,
    Value,
)
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import DAY, NEVER, Instant

Facts = Mapping[str, Any]
AnswerFunction = Callable[[Facts, Instant, str], bool | None]
ValueFunction = Callable[[Facts, Instant, str], Any]

#: The Python class of each declared type in JSON. The exact class is compared, because bool is a subclass of int.
_CLASSES = {
    "bool": bool,
    "integer": int,
    "decimal": int,
    "instant": int,
    "text": str,
    "verdict": str,
    "set": list,
    "window": list,
}
_BOOL_OF: Mapping[Truth, bool | None] = {Truth.YES: True, Truth.NO: False, Truth.UNKNOWN: None}


# ---- values ----------------------------------------------------------------------------------------------


def compile_value(value: Value) -> ValueFunction:
    """Return a function (facts, now, zone) -> the value, None when it is unknown."""
    match value:
        case Stored():
            return _stored(value)
        case Fixed():
            return lambda facts, now, zone: value.value
        case Extreme():
            return _extreme(value)
        case Days():
            return _days(value)
        case Local():
            return _local(value)
        case Now():
            return lambda facts, now, zone: now
        case Default():
            first, second = compile_value(value.value), compile_value(value.otherwise)
            return _default(first, second)


def _stored(value: Stored) -> ValueFunction:
    key, expected, absent = value.key, _CLASSES[value.type], value.absent
    if value.type == "window":
        return _window(value)
    if value.type == "set":
        return _set(value)

    def read(facts: Facts, now: Instant, zone: str) -> Any:
        found = facts.get(key)
        if found.__class__ is expected:
            return found
        return absent if found is None else None

    return read


def _set(value: Stored) -> ValueFunction:
    """Read a list of texts. The last item decides the kind of a list, so a window is not read as a set."""
    key, absent = value.key, value.absent

    def read(facts: Facts, now: Instant, zone: str) -> Any:
        found = facts.get(key)
        if found.__class__ is list and (not found or found[-1].__class__ is str):
            return found
        return absent if found is None else None

    return read


def _window(value: Stored) -> ValueFunction:
    """Count the instants of an ascending list that lie within the span before now."""
    key, within, absent = value.key, value.within, value.absent

    def read(facts: Facts, now: Instant, zone: str) -> int | None:
        found = facts.get(key)
        if found.__class__ is list and (not found or found[-1].__class__ is int):
            return len(found) - bisect_right(found, now - within)
        return absent if found is None else None  # type: ignore[return-value]

    return read


def _extreme(value: Extreme) -> ValueFunction:
    reads, pick = tuple(compile_value(part) for part in value.of), max if value.latest else min

    def read(facts: Facts, now: Instant, zone: str) -> Instant | None:
        instants = [read(facts, now, zone) for read in reads]
        return None if None in instants else pick(instants)

    return read


def _days(value: Days) -> ValueFunction:
    of, until = compile_value(value.of), value.until

    def since(facts: Facts, now: Instant, zone: str) -> float | None:
        found = of(facts, now, zone)
        if found is None:
            return None
        return (now - found) // DAY if found > NEVER else inf

    def left(facts: Facts, now: Instant, zone: str) -> float | None:
        found = of(facts, now, zone)
        if found is None:
            return None
        return (found - now) // DAY if found > NEVER else -inf

    return left if until else since


def _local(value: Local) -> ValueFunction:
    unit = value.unit

    def read(facts: Facts, now: Instant, zone: str) -> int | str | None:
        calendar = calendar_of(zone)
        return None if calendar is None else local_value(calendar, unit, now)

    return read


def _default(first: ValueFunction, second: ValueFunction) -> ValueFunction:
    def read(facts: Facts, now: Instant, zone: str) -> Any:
        found = first(facts, now, zone)
        return second(facts, now, zone) if found is None else found

    return read


# ---- answers ---------------------------------------------------------------------------------------------


def compile_answer(node: Node) -> AnswerFunction:
    """Return a function (facts, now, zone) -> True, False, or None when the answer is unknown."""
    match node:
        case Constant():
            return lambda facts, now, zone: node.value
        case All():
            return _all(tuple(compile_answer(part) for part in node.parts))
        case AnyOf():
            return _any(tuple(compile_answer(part) for part in node.parts))
        case Not():
            return _not(compile_answer(node.part))
        case Is():
            return _is(compile_answer(node.part), frozenset(_BOOL_OF[truth] for truth in node.among))
        case _:
            return _leaf(node)


def _leaf(node: Known | Flag | Compare | Balance | Same | OneOf | Contains) -> AnswerFunction:
    match node:
        case Known():
            read = compile_value(node.value)
            return lambda facts, now, zone: read(facts, now, zone) is not None
        case Flag():
            return _verdict(node.fact.key) if node.fact.type == "verdict" else compile_value(node.fact)
        case Compare():
            return _compare(node)
        case Balance():
            return _balance(node)
        case Same():
            return _pair(compile_value(node.left), compile_value(node.right), TESTS["=="])
        case OneOf():
            options = frozenset(node.options)
            return _test(compile_value(node.value), lambda found, _: found in options, None)
        case Contains():
            return _pair(
                compile_value(node.item), compile_value(node.within), lambda item, holder: item in holder
            )


def _all(parts: tuple[AnswerFunction, ...]) -> AnswerFunction:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        result: bool | None = True
        for part in parts:
            answered = part(facts, now, zone)
            if answered is False:
                return False
            if answered is None:
                result = None
        return result

    return answer


def _any(parts: tuple[AnswerFunction, ...]) -> AnswerFunction:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        result: bool | None = False
        for part in parts:
            answered = part(facts, now, zone)
            if answered:
                return True
            if answered is None:
                result = None
        return result

    return answer


def _not(part: AnswerFunction) -> AnswerFunction:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        answered = part(facts, now, zone)
        return None if answered is None else not answered

    return answer


def _is(part: AnswerFunction, among: frozenset[bool | None]) -> AnswerFunction:
    return lambda facts, now, zone: part(facts, now, zone) in among


def _verdict(key: str) -> AnswerFunction:
    answers = {"yes": True, "no": False}

    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = facts.get(key)
        return answers.get(found) if found.__class__ is str else None

    return answer


def _compare(node: Compare) -> AnswerFunction:
    test, bound, value = TESTS[node.op], node.bound, node.value
    if not isinstance(value, Stored) or value.type == "window":
        return _test(compile_value(value), test, bound)
    # By far the most frequent leaf: look the fact up, check its class, compare.
    key, expected = value.key, _CLASSES[value.type]
    when_absent = None if value.absent is None else test(value.absent, bound)

    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = facts.get(key)
        if found.__class__ is expected:
            return test(found, bound)
        return when_absent if found is None else None

    return answer


def _test(read: ValueFunction, test: Callable[[Any, Any], bool], bound: Any) -> AnswerFunction:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = read(facts, now, zone)
        return None if found is None else test(found, bound)

    return answer


def _pair(left: ValueFunction, right: ValueFunction, test: Callable[[Any, Any], bool]) -> AnswerFunction:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        first, second = left(facts, now, zone), right(facts, now, zone)
        return None if first is None or second is None else test(first, second)

    return answer


def _balance(node: Balance) -> AnswerFunction:
    parts = tuple((factor, compile_value(value)) for factor, value in node.parts)
    constant, test = node.constant, TESTS[node.op]

    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        total: float = constant
        for factor, read in parts:
            found = read(facts, now, zone)
            if found is None:
                return None
            total += factor * found
        return test(total, 0)

    return answer
