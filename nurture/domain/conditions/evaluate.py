"""Truth: a condition compiled once into closures that answer for one contact in well under a microsecond a part.

Inside, an answer is True, False or None for unknown, and so is a value None when it is unknown.
"""

# ruff: noqa: ARG001, ARG005 - every closure has the one signature of its kind

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
    OneOf,
    Same,
    Stored,
    Value,
)
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import DAY, NEVER, Instant

Facts = Mapping[str, Any]
Answer = Callable[[Facts, Instant, str], bool | None]
Read = Callable[[Facts, Instant, str], Any]

#: What each declared type is in JSON. Bool is no int here: the exact class is asked.
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
_PLAIN: Mapping[Truth, bool | None] = {Truth.YES: True, Truth.NO: False, Truth.UNKNOWN: None}


# ---- values ----------------------------------------------------------------------------------------------


def reader(value: Value) -> Read:
    """Compile a value: (facts, now, zone) -> the value, None when it is unknown."""
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
        case Default():
            first, second = reader(value.value), reader(value.otherwise)
            return _default(first, second)


def _stored(value: Stored) -> Read:
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


def _set(value: Stored) -> Read:
    """Return the list of texts. A list is of one kind, that of its newest: a window is no set."""
    key, absent = value.key, value.absent

    def read(facts: Facts, now: Instant, zone: str) -> Any:
        found = facts.get(key)
        if found.__class__ is list and (not found or found[-1].__class__ is str):
            return found
        return absent if found is None else None

    return read


def _window(value: Stored) -> Read:
    """Count the instants of an ascending list that lie within the span before now."""
    key, within, absent = value.key, value.within, value.absent

    def read(facts: Facts, now: Instant, zone: str) -> int | None:
        found = facts.get(key)
        if found.__class__ is list and (not found or found[-1].__class__ is int):
            return len(found) - bisect_right(found, now - within)
        return absent if found is None else None  # type: ignore[return-value]

    return read


def _extreme(value: Extreme) -> Read:
    reads, pick = tuple(reader(one) for one in value.of), max if value.latest else min

    def read(facts: Facts, now: Instant, zone: str) -> Instant | None:
        found = [one(facts, now, zone) for one in reads]
        return None if None in found else pick(found)

    return read


def _days(value: Days) -> Read:
    of, until = reader(value.of), value.until

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


def _local(value: Local) -> Read:
    unit = value.unit

    def read(facts: Facts, now: Instant, zone: str) -> int | str | None:
        calendar = calendar_of(zone)
        return None if calendar is None else local_value(calendar, unit, now)

    return read


def _default(first: Read, second: Read) -> Read:
    def read(facts: Facts, now: Instant, zone: str) -> Any:
        found = first(facts, now, zone)
        return second(facts, now, zone) if found is None else found

    return read


# ---- answers ---------------------------------------------------------------------------------------------


def answerer(node: Node) -> Answer:
    """Compile a node: (facts, now, zone) -> True, False, None when the answer is unknown."""
    match node:
        case Constant():
            return lambda facts, now, zone: node.value
        case All():
            return _all(tuple(answerer(part) for part in node.parts))
        case AnyOf():
            return _any(tuple(answerer(part) for part in node.parts))
        case Not():
            return _not(answerer(node.part))
        case Is():
            return _is(answerer(node.part), frozenset(_PLAIN[truth] for truth in node.among))
        case _:
            return _leaf(node)


def _leaf(node: Known | Flag | Compare | Balance | Same | OneOf | Contains) -> Answer:
    match node:
        case Known():
            read = reader(node.value)
            return lambda facts, now, zone: read(facts, now, zone) is not None
        case Flag():
            return _verdict(node.fact.key) if node.fact.type == "verdict" else reader(node.fact)
        case Compare():
            return _compare(node)
        case Balance():
            return _balance(node)
        case Same():
            return _pair(reader(node.left), reader(node.right), TESTS["=="])
        case OneOf():
            options = frozenset(node.options)
            return _test(reader(node.value), lambda found, _: found in options, None)
        case Contains():
            return _pair(reader(node.item), reader(node.within), lambda item, holder: item in holder)


def _all(parts: tuple[Answer, ...]) -> Answer:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        result: bool | None = True
        for part in parts:
            one = part(facts, now, zone)
            if one is False:
                return False
            if one is None:
                result = None
        return result

    return answer


def _any(parts: tuple[Answer, ...]) -> Answer:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        result: bool | None = False
        for part in parts:
            one = part(facts, now, zone)
            if one:
                return True
            if one is None:
                result = None
        return result

    return answer


def _not(part: Answer) -> Answer:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        one = part(facts, now, zone)
        return None if one is None else not one

    return answer


def _is(part: Answer, among: frozenset[bool | None]) -> Answer:
    return lambda facts, now, zone: part(facts, now, zone) in among


def _verdict(key: str) -> Answer:
    answers = {"yes": True, "no": False}

    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = facts.get(key)
        return answers.get(found) if found.__class__ is str else None

    return answer


def _compare(node: Compare) -> Answer:
    test, bound, value = TESTS[node.op], node.bound, node.value
    if not isinstance(value, Stored) or value.type == "window":
        return _test(reader(value), test, bound)
    # The commonest leaf by far: look up, check the class, compare.
    key, expected = value.key, _CLASSES[value.type]
    when_absent = None if value.absent is None else test(value.absent, bound)

    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = facts.get(key)
        if found.__class__ is expected:
            return test(found, bound)
        return when_absent if found is None else None

    return answer


def _test(read: Read, test: Callable[[Any, Any], bool], bound: Any) -> Answer:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        found = read(facts, now, zone)
        return None if found is None else test(found, bound)

    return answer


def _pair(left: Read, right: Read, test: Callable[[Any, Any], bool]) -> Answer:
    def answer(facts: Facts, now: Instant, zone: str) -> bool | None:
        first, second = left(facts, now, zone), right(facts, now, zone)
        return None if first is None or second is None else test(first, second)

    return answer


def _balance(node: Balance) -> Answer:
    parts = tuple((factor, reader(value)) for factor, value in node.parts)
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
