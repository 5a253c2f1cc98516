"""Next change: the first instant at which an answer differs, if nothing happens until then.

Each node tells, at an instant, its answer and an instant before which that answer cannot change (None: it
never does). A leaf knows its instant exactly. `and` that is no stays so at least until the last of its noes
may end, so whole months are skipped in one step; the walk over such instants ends at the first that differs.
"""

# ruff: noqa: ARG001, ARG005 - every closure has the one signature of its kind

from collections.abc import Callable, Iterable
from typing import Any

from nurture.domain.conditions.calendar import DOMAINS, calendar_of, changes
from nurture.domain.conditions.evaluate import Answer, Facts, answerer, reader
from nurture.domain.conditions.nodes import (
    TESTS,
    All,
    AnyOf,
    Balance,
    Compare,
    Days,
    Default,
    Is,
    Local,
    Node,
    Not,
    OneOf,
    Stored,
    Value,
    is_moving,
    moves,
)
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import DAY, NEVER, Instant

#: Nobody sleeps longer than this without being looked at.
HORIZON = 400 * DAY

Foresight = tuple[bool | None, Instant | None]
Ahead = Callable[[Facts, Instant, str], Foresight]
Test = Callable[[Any], bool]
# (facts, now, zone, test, values at which the test may turn) -> when the test of the value next differs
Turn = Callable[[Facts, Instant, str, Test, Iterable[int]], Instant | None]


def next_change(ahead: Ahead, facts: Facts, now: Instant, zone: str) -> Instant | None:
    """Return the first instant > now at which the answer differs; now + 400 days if only later; None: never."""
    horizon = now + HORIZON
    answer, until = ahead(facts, now, zone)
    while until is not None and until <= horizon:
        later, following = ahead(facts, until, zone)
        if later is not answer:
            return until
        until = following
    return None if until is None else horizon


def foresee(node: Node) -> Ahead:
    """Compile a node: (facts, at, zone) -> its answer at that instant, and until when it cannot differ."""
    if not moves(node):
        return _still(answerer(node))
    match node:
        case All():
            return _joined(node.parts, decisive=False)
        case AnyOf():
            return _joined(node.parts, decisive=True)
        case Not():
            return _mapped(foresee(node.part), {True: False, False: True, None: None})
        case Is():
            plain = {True: Truth.YES, False: Truth.NO, None: Truth.UNKNOWN}
            return _mapped(
                foresee(node.part), {answer: truth in node.among for answer, truth in plain.items()}
            )
        case _:
            return _leaf(node)


def _still(answer: Answer) -> Ahead:
    return lambda facts, now, zone: (answer(facts, now, zone), None)


def _mapped(part: Ahead, answers: dict[bool | None, bool | None]) -> Ahead:
    def ahead(facts: Facts, now: Instant, zone: str) -> Foresight:
        answer, until = part(facts, now, zone)
        return answers[answer], until

    return ahead


def _joined(nodes: tuple[Node, ...], *, decisive: bool) -> Ahead:
    """`and` (decided by a no) or `or` (decided by a yes)."""
    # Still parts first: one that decides makes the others need no look.
    parts = tuple(foresee(node) for node in sorted(nodes, key=moves))

    def ahead(facts: Facts, now: Instant, zone: str) -> Foresight:
        answer: bool | None = not decisive
        decided_until: Instant | None = None
        open_until: Instant | None = None
        for part in parts:
            one, until = part(facts, now, zone)
            if one is decisive:
                if until is None:
                    return decisive, None
                answer = decisive
                decided_until = until if decided_until is None else max(decided_until, until)
            else:
                if one is None and answer is not decisive:
                    answer = None
                if until is not None:
                    open_until = until if open_until is None else min(open_until, until)
        return answer, (decided_until if answer is decisive else open_until)

    return ahead


# ---- leaves ----------------------------------------------------------------------------------------------


def _leaf(node: Node) -> Ahead:
    answer = answerer(node)
    match node:
        case Compare():
            return _tested(answer, _turn(node.value), _comparing(node), _around(node.bound))
        case OneOf():
            options = frozenset(node.options)
            marks = tuple(mark for option in node.options for mark in _around(option))
            return _tested(answer, _turn(node.value), lambda found: found in options, marks)
        case Balance():
            return _balance(node, answer)
        case _:
            # Same and Contains over a local weekday: any day may turn them.
            return _daily(answer)


def _tested(answer: Answer, turn: Turn, test: Test, marks: Iterable[int]) -> Ahead:
    return lambda facts, now, zone: (answer(facts, now, zone), turn(facts, now, zone, test, marks))


def _comparing(node: Compare) -> Test:
    test, bound = TESTS[node.op], node.bound
    return lambda found: test(found, bound)


def _around(bound: int | str) -> tuple[int, ...]:
    return () if isinstance(bound, str) else (bound - 1, bound, bound + 1)


def _balance(node: Balance, answer: Answer) -> Ahead:
    """One part moves; what the others make together is its bound."""
    ((factor, moving),) = [part for part in node.parts if is_moving(part[1])]
    others = [(weight, reader(value)) for weight, value in node.parts if not is_moving(value)]
    turn, compare, constant = _turn(moving), TESTS[node.op], node.constant

    def ahead(facts: Facts, now: Instant, zone: str) -> Foresight:
        now_answer = answer(facts, now, zone)
        if now_answer is None:
            return None, None
        rest = constant + sum(weight * read(facts, now, zone) for weight, read in others)
        marks = _around(-rest // factor)

        def test(found: Any) -> bool:
            return compare(factor * found + rest, 0)

        return now_answer, turn(facts, now, zone, test, marks)

    return ahead


def _daily(answer: Answer) -> Ahead:
    def ahead(facts: Facts, now: Instant, zone: str) -> Foresight:
        first, calendar = answer(facts, now, zone), calendar_of(zone)
        if first is None or calendar is None:
            return first, None
        at, _ = next(changes(calendar, "weekday", now, until=now + HORIZON))
        return first, at

    return ahead


# ---- moving values ---------------------------------------------------------------------------------------


def _turn(value: Value) -> Turn:
    """Compile a value: when does a test of it next come out differently?"""
    match value:
        case Days():
            return _until(value) if value.until else _since(value)
        case Stored(type="window"):
            return _window(value)
        case Local():
            return _local(value)
        case Default():
            return _default(value)
        case _:
            return lambda facts, now, zone, test, marks: None


def _since(value: Days) -> Turn:
    """The count rises by one with each whole day after the instant."""
    of = reader(value.of)

    def turn(facts: Facts, now: Instant, zone: str, test: Test, marks: Iterable[int]) -> Instant | None:
        start = of(facts, now, zone)
        if start is None or start <= NEVER:
            return None
        days = (now - start) // DAY
        answer = test(days)
        later = [mark for mark in marks if mark > days and test(mark) is not answer]
        return start + min(later) * DAY if later else None

    return turn


def _until(value: Days) -> Turn:
    """The count falls by one just after each whole day before the instant."""
    of = reader(value.of)

    def turn(facts: Facts, now: Instant, zone: str, test: Test, marks: Iterable[int]) -> Instant | None:
        end = of(facts, now, zone)
        if end is None or end <= NEVER:
            return None
        days = (end - now) // DAY
        answer = test(days)
        later = [mark for mark in marks if mark < days and test(mark) is not answer]
        return end - (max(later) + 1) * DAY + 1 if later else None

    return turn


def _window(value: Stored) -> Turn:
    """The count falls when the oldest instant grows older than the span."""
    key, within, count = value.key, value.within, reader(value)

    def turn(facts: Facts, now: Instant, zone: str, test: Test, marks: Iterable[int]) -> Instant | None:
        found, number = facts.get(key), count(facts, now, zone)
        if not number or not isinstance(found, list):
            return None
        answer = test(number)
        for place in range(len(found) - number, len(found)):
            at = found[place] + within
            if test(count(facts, at, zone)) is not answer:
                return int(at)
        return None

    return turn


def _local(value: Local) -> Turn:
    unit, read = value.unit, reader(value)

    def turn(facts: Facts, now: Instant, zone: str, test: Test, marks: Iterable[int]) -> Instant | None:
        calendar = calendar_of(zone)
        if calendar is None or len({test(possible) for possible in DOMAINS[unit]}) == 1:
            return None
        answer = test(read(facts, now, zone))
        for at, found in changes(calendar, unit, now, until=now + HORIZON):
            if test(found) is not answer:
                return at
        return now + HORIZON

    return turn


def _default(value: Default) -> Turn:
    """Whether a value is known does not change by itself, so one of the two is the value for good."""
    known, first, second = reader(value.value), _turn(value.value), _turn(value.otherwise)

    def turn(facts: Facts, now: Instant, zone: str, test: Test, marks: Iterable[int]) -> Instant | None:
        chosen = second if known(facts, now, zone) is None else first
        return chosen(facts, now, zone, test, marks)

    return turn
