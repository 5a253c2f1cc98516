"""Next change of a condition: the first instant at which the answer differs if no event happens until then.

Each node is compiled into a forecast: its answer at an instant, and an instant before which that answer cannot
change (None: it never changes). A leaf computes that instant exactly. A conjunction that is no stays no at least
until the last of its failing parts may change, so whole months are skipped in one step. `find_next_change` walks
from one such instant to the next until the answer differs.
"""

# ruff: noqa: ARG001, ARG005 - all closures of a kind have the same signature

from collections.abc import Callable, Iterable
from typing import Any

from nurture.domain.conditions.calendar import DOMAINS, calendar_of, iterate_changes
from nurture.domain.conditions.evaluate import AnswerFunction, Facts, compile_answer, compile_value
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
    Now,
    OneOf,
    Stored,
    Value,
    answer_moves,
    is_moving,
)
from nurture.domain.conditions.terms import Truth
from nurture.domain.instant import DAY, NEVER, Instant

#: The longest time until a contact is evaluated again.
HORIZON = 400 * DAY

Forecast = tuple[bool | None, Instant | None]
ForecastFunction = Callable[[Facts, Instant, str], Forecast]
Test = Callable[[Any], bool]
# (facts, now, zone, test, values at which the test may flip) -> when the test of the value next differs
FlipFunction = Callable[[Facts, Instant, str, Test, Iterable[int]], Instant | None]


def find_next_change(forecast: ForecastFunction, facts: Facts, now: Instant, zone: str) -> Instant | None:
    """Return the first instant > now at which the answer differs; now + 400 days when it is later; None: never."""
    horizon = now + HORIZON
    answer, until = forecast(facts, now, zone)
    while until is not None and until <= horizon:
        later, following = forecast(facts, until, zone)
        if later is not answer:
            return until
        until = following
    return None if until is None else horizon


def compile_forecast(node: Node) -> ForecastFunction:
    """Return a function (facts, at, zone) -> the answer at that instant, and until when it cannot differ."""
    if not answer_moves(node):
        return _compile_fixed(compile_answer(node))
    match node:
        case All():
            return _compile_joined(node.parts, decisive=False)
        case AnyOf():
            return _compile_joined(node.parts, decisive=True)
        case Not():
            return _compile_mapped(compile_forecast(node.part), {True: False, False: True, None: None})
        case Is():
            plain = {True: Truth.YES, False: Truth.NO, None: Truth.UNKNOWN}
            return _compile_mapped(
                compile_forecast(node.part), {answer: truth in node.among for answer, truth in plain.items()}
            )
        case _:
            return _leaf(node)


def _compile_fixed(answer: AnswerFunction) -> ForecastFunction:
    return lambda facts, now, zone: (answer(facts, now, zone), None)


def _compile_mapped(part: ForecastFunction, answers: dict[bool | None, bool | None]) -> ForecastFunction:
    def forecast(facts: Facts, now: Instant, zone: str) -> Forecast:
        answer, until = part(facts, now, zone)
        return answers[answer], until

    return forecast


def _compile_joined(nodes: tuple[Node, ...], *, decisive: bool) -> ForecastFunction:
    """Compile `and`, which a no decides, or `or`, which a yes decides."""
    # Parts that do not move first: when one decides, the others are not evaluated.
    parts = tuple(compile_forecast(node) for node in sorted(nodes, key=answer_moves))

    def forecast(facts: Facts, now: Instant, zone: str) -> Forecast:
        answer: bool | None = not decisive
        decided_until: Instant | None = None
        open_until: Instant | None = None
        for part in parts:
            answer_of_part, until = part(facts, now, zone)
            if answer_of_part is decisive:
                if until is None:
                    return decisive, None
                answer = decisive
                decided_until = until if decided_until is None else max(decided_until, until)
            else:
                if answer_of_part is None and answer is not decisive:
                    answer = None
                if until is not None:
                    open_until = until if open_until is None else min(open_until, until)
        return answer, (decided_until if answer is decisive else open_until)

    return forecast


# ---- leaves ----------------------------------------------------------------------------------------------


def _leaf(node: Node) -> ForecastFunction:
    answer = compile_answer(node)
    match node:
        case Compare():
            return _compile_tested(
                answer, _compile_flip(node.value), _comparison_test(node), _thresholds_around(node.bound)
            )
        case OneOf():
            options = frozenset(node.options)
            thresholds = tuple(
                threshold for option in node.options for threshold in _thresholds_around(option)
            )
            return _compile_tested(
                answer, _compile_flip(node.value), lambda value: value in options, thresholds
            )
        case Balance():
            return _balance(node, answer)
        case _:
            # Same and Contains over a local weekday: the answer may change every day.
            return _compile_daily(answer)


def _compile_tested(
    answer: AnswerFunction, find_flip: FlipFunction, test: Test, thresholds: Iterable[int]
) -> ForecastFunction:
    return lambda facts, now, zone: (answer(facts, now, zone), find_flip(facts, now, zone, test, thresholds))


def _comparison_test(node: Compare) -> Test:
    test, bound = TESTS[node.op], node.bound
    return lambda value: test(value, bound)


def _thresholds_around(bound: int | str) -> tuple[int, ...]:
    return () if isinstance(bound, str) else (bound - 1, bound, bound + 1)


def _balance(node: Balance, answer: AnswerFunction) -> ForecastFunction:
    """Compile a balance with one moving part; the sum of the other parts is its bound."""
    ((factor, moving),) = [part for part in node.parts if is_moving(part[1])]
    others = [(weight, compile_value(value)) for weight, value in node.parts if not is_moving(value)]
    find_flip, compare, constant = _compile_flip(moving), TESTS[node.op], node.constant

    def forecast(facts: Facts, now: Instant, zone: str) -> Forecast:
        now_answer = answer(facts, now, zone)
        if now_answer is None:
            return None, None
        rest = constant + sum(weight * read(facts, now, zone) for weight, read in others)
        thresholds = _thresholds_around(-rest // factor)

        def test(value: Any) -> bool:
            return compare(factor * value + rest, 0)

        return now_answer, find_flip(facts, now, zone, test, thresholds)

    return forecast


def _compile_daily(answer: AnswerFunction) -> ForecastFunction:
    def forecast(facts: Facts, now: Instant, zone: str) -> Forecast:
        first, calendar = answer(facts, now, zone), calendar_of(zone)
        if first is None or calendar is None:
            return first, None
        at, _ = next(iterate_changes(calendar, "weekday", now, until=now + HORIZON))
        return first, at

    return forecast


# ---- moving values ---------------------------------------------------------------------------------------


def _compile_flip(value: Value) -> FlipFunction:
    """Return a function that finds when a test of the value next gives another result."""
    match value:
        case Days():
            return _until(value) if value.until else _since(value)
        case Stored(type="window"):
            return _window(value)
        case Local():
            return _local(value)
        case Now():
            return _find_later_threshold
        case Default():
            return _default(value)
        case _:
            return lambda facts, now, zone, test, thresholds: None


def _since(value: Days) -> FlipFunction:
    """Days since an instant: the count rises by one with each whole day after it."""
    of = compile_value(value.of)

    def find_flip(
        facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
    ) -> Instant | None:
        start = of(facts, now, zone)
        if start is None or start <= NEVER:
            return None
        days = (now - start) // DAY
        answer = test(days)
        later = [threshold for threshold in thresholds if threshold > days and test(threshold) is not answer]
        return start + min(later) * DAY if later else None

    return find_flip


def _until(value: Days) -> FlipFunction:
    """Days until an instant: the count falls by one just after each whole day before it."""
    of = compile_value(value.of)

    def find_flip(
        facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
    ) -> Instant | None:
        end = of(facts, now, zone)
        if end is None or end <= NEVER:
            return None
        days = (end - now) // DAY
        answer = test(days)
        later = [threshold for threshold in thresholds if threshold < days and test(threshold) is not answer]
        return end - (max(later) + 1) * DAY + 1 if later else None

    return find_flip


def _window(value: Stored) -> FlipFunction:
    """Window: the count falls when the oldest instant becomes older than the span."""
    key, within, count = value.key, value.within, compile_value(value)

    def find_flip(
        facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
    ) -> Instant | None:
        instants, number = facts.get(key), count(facts, now, zone)
        if not number or not isinstance(instants, list):
            return None
        answer = test(number)
        for place in range(len(instants) - number, len(instants)):
            at = instants[place] + within
            if test(count(facts, at, zone)) is not answer:
                return int(at)
        return None

    return find_flip


def _local(value: Local) -> FlipFunction:
    unit, read = value.unit, compile_value(value)

    def find_flip(
        facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
    ) -> Instant | None:
        calendar = calendar_of(zone)
        if calendar is None or len({test(possible) for possible in DOMAINS[unit]}) == 1:
            return None
        answer = test(read(facts, now, zone))
        for at, local in iterate_changes(calendar, unit, now, until=now + HORIZON):
            if test(local) is not answer:
                return at
        return now + HORIZON

    return find_flip


def _find_later_threshold(
    facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
) -> Instant | None:
    """Find when the test of the present instant flips: at the first later threshold with another result."""
    answer = test(now)
    return min((later for later in thresholds if later > now and test(later) is not answer), default=None)


def _default(value: Default) -> FlipFunction:
    """Default: whether a value is known does not change with time, so one of the two values always counts."""
    known, first, second = (
        compile_value(value.value),
        _compile_flip(value.value),
        _compile_flip(value.otherwise),
    )

    def find_flip(
        facts: Facts, now: Instant, zone: str, test: Test, thresholds: Iterable[int]
    ) -> Instant | None:
        chosen = second if known(facts, now, zone) is None else first
        return chosen(facts, now, zone, test, thresholds)

    return find_flip
