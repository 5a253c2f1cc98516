"""Explanations name the values that were read and the value that a failing part needs."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import Explanation, Reading, Truth
from nurture.domain.conditions import condition as condition_module
from nurture.domain.conditions.explain import ExplainFunction, compile_explanation
from nurture.domain.conditions.nodes import Node
from nurture.domain.instant import DAY, HOUR, Instant
from tests.domain.conditions.samples import (
    EVES,
    NOW,
    ZONES,
    a_condition,
    a_reading,
    conditions,
    facts,
    unshrunk,
)
from tests.rig.examples import examples


def test_an_explanation_reads_as_lines() -> None:
    condition = a_condition(
        'orders == 1 and silent_days("Order Completed", "Signed In") > 30 and satisfied is not no'
        ' and not (spent >= 19.99 or "bike" in interests)'
    )
    seen = {"first_seen_at": NOW - 90 * DAY, "last:Signed In": NOW - 12 * DAY}
    reading = Reading({**seen, "orders": 1, "spent": 2500, "interests": ["bike"]}, NOW)
    assert condition.explain(reading).lines() == [
        f"no      {condition.text}",
        "  yes     orders == 1: orders is 1",
        '  no      silent_days("Order Completed", "Signed In") > 30: silent_days(...) is 12, needs > 30: '
        "becomes true at 2026-12-11T10:00:00Z",
        "  yes     satisfied is not no: satisfied is unknown",
        '  no      not (spent >= 19.99 or "bike" in interests)',
        '    yes     spent >= 19.99 or "bike" in interests',
        "      yes     spent >= 19.99: spent is 25.00, needs < 19.99",
        '      yes     "bike" in interests: interests is ["bike"], needs not to hold "bike"',
    ]


@pytest.mark.parametrize(
    ("text", "found", "detail"),
    [
        ("orders >= 2", {"orders": 1}, "orders is 1, needs >= 2"),
        ("2 <= orders", {"orders": 1}, "orders is 1, needs >= 2"),
        ("orders >= 2", {"orders": 3}, "orders is 3"),
        ("not (orders >= 2)", {"orders": 3}, "orders is 3, needs < 2"),
        ("nps >= 9", {}, "nps is unknown, needs >= 9"),
        ("spent < -0.05", {"spent": -4}, "spent is -0.04, needs < -0.05"),
        (
            "orders + trials >= 5",
            {"orders": 1, "trials": 2},
            "orders is 1, trials is 2, needs orders + trials >= 5",
        ),
        ("vip", {"vip": False}, "vip is no, needs yes"),
        ("not satisfied", {"satisfied": "yes"}, "satisfied is yes, needs no"),
        ("satisfied is not no", {"satisfied": "no"}, "satisfied is no, needs yes or unknown"),
        ("satisfied is yes", {}, "satisfied is unknown, needs yes"),
        ("known(nps)", {}, "nps is unknown, needs a value"),
        ('plan == "pro"', {"plan": "free"}, 'plan is "free", needs == "pro"'),
        ('plan in ["a", "b"]', {"plan": "free"}, 'plan is "free", needs one of "a", "b"'),
        ('plan not in ["a"]', {"plan": "a"}, 'plan is "a", needs none of "a"'),
        ("plan == city", {"plan": "a", "city": "b"}, 'plan is "a", city is "b", needs the same text'),
        ('"x" in interests', {}, 'interests is [], needs to hold "x"'),
        ('"x" in tags', {"tags": list("abcdefghijkl")}, None),
        ('last("Signed In") > first_seen_at', {}, None),
        (
            "days_since(first_order_at) < 3",
            {},
            "days_since(first_order_at) is endless (it never happened), needs < 3",
        ),
        (
            "days_until(renewal_at) >= 2",
            {"renewal_at": NOW + 3 * DAY},
            "days_until(renewal_at) is 3, until 2026-11-23T10:00:00.000001Z",
        ),
        (
            "views_7d < 1",
            {"views_7d": [NOW - DAY]},
            "views_7d is 1, needs < 1: becomes true at 2026-11-28T10:00:00Z",
        ),
        (
            'local_weekday() == "mon"',
            {},
            'local_weekday() is "sun", needs == "mon": becomes true at 2026-11-23T00:00:00Z',
        ),
        ("first_order_at == renewal_at", {"renewal_at": NOW}, None),
    ],
)
def test_a_failing_comparison_says_what_it_needs(
    text: str, found: dict[str, Any], detail: str | None
) -> None:
    explanation = a_condition(text).explain(a_reading(**found))
    expected = {
        '"x" in tags': 'tags is [2 more, "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"], needs to hold "x"',
        'last("Signed In") > first_seen_at': 'last("Signed In") is never, first_seen_at is 2026-08-24T10:00:00Z, '
        'needs last("Signed In") > first_seen_at',
        "first_order_at == renewal_at": "first_order_at is never, renewal_at is 2026-11-22T10:00:00Z, "
        "needs first_order_at == renewal_at",
    }
    assert explanation.detail == (detail or expected[text])
    assert explanation.parts == ()


@settings(unshrunk, max_examples=examples(80))
@given(data=st.data(), text=conditions, now=st.sampled_from(EVES), zone=st.sampled_from(ZONES))
def test_the_parts_of_an_explanation_tell_the_truth(
    data: st.DataObject, text: str, now: Instant, zone: str
) -> None:
    reading = Reading(data.draw(facts(now)), now, zone)
    explanation = a_condition(text).explain(reading)
    assert explanation.truth is a_condition(text).truth(reading)
    for part in _every(explanation):
        assert part.truth is _answer(part, reading), part.text
    assert len(explanation.lines()) == sum(1 for _ in _every(explanation))


#: The rungs of the ladders, which explanations name, with their conditions; a rung that is unknown is not yes.
_RUNGS = {
    "gold": "regular and days_since(first_order_at) >= 2",
    "warm": "nps >= 4",
    "close": "vip",
    "deep": "spent > 5",
    "looks": "views_7d >= 2",
}


def _answer(part: Explanation, reading: Reading) -> Truth:
    """Return the answer of a part: of a rung by its condition, else of its text."""
    rung = _RUNGS.get(part.text.removeprefix("not "))
    if rung is None:
        return a_condition(part.text).truth(reading)
    is_yes = a_condition(rung).truth(reading) is Truth.YES
    return Truth.YES if is_yes is (part.text in _RUNGS) else Truth.NO


def _every(explanation: Explanation) -> list[Explanation]:
    return [explanation, *(inner for part in explanation.parts for inner in _every(part))]


def test_a_chain_of_comparisons_keeps_its_brackets() -> None:
    explanation = a_condition("1 <= (nps or orders) < 5").explain(a_reading(orders=7))
    assert [(part.text, part.detail) for part in explanation.parts] == [
        ("1 <= (nps or orders)", "nps or orders is 7"),
        ("(nps or orders) < 5", "nps or orders is 7, needs < 5"),
    ]


def test_a_part_that_time_will_satisfy_says_when() -> None:
    condition = a_condition("local_hour() >= 9 and local_hour() < 18")
    explanation = condition.explain(a_reading(now=NOW - 5 * HOUR))
    assert [part.detail for part in explanation.parts] == [
        "local_hour() is 5, needs >= 9: becomes true at 2026-11-22T09:00:00Z",
        "local_hour() is 5, until 2026-11-22T18:00:00Z",
    ]
    assert explanation.truth is Truth.NO


def joined(explanation: Explanation) -> str:
    return "; ".join(line.strip() for line in explanation.lines())


def test_one_line_says_the_same_for_every_state_of_the_facts() -> None:
    condition = a_condition('orders >= 2 and satisfied is not no and not ("bike" in interests)')
    states: list[dict[str, Any]] = [
        {"orders": 1},
        # Of another type, so unknown.
        {"orders": True},
        {"orders": 1, "satisfied": "no"},
        {"orders": 1, "interests": ["bike"]},
        {"orders": 1, "interests": ["boat"]},
        {"orders": 1},
    ]
    for state in states:
        reading = a_reading(**state)
        assert condition.explain_in_one_line(reading) == joined(condition.explain(reading))
    assert len({condition.explain_in_one_line(a_reading(**state)) for state in states}) == len(states) - 1


def test_one_line_follows_the_time_and_the_zone() -> None:
    for text in ('silent_days("Signed In") > 30', "local_hour() >= 9", "known(days_since(first_seen_at))"):
        condition = a_condition(text)
        readings = [a_reading(now=NOW + day * DAY, zone=zone) for day in (0, 40) for zone in ZONES[:2]]
        for reading in readings:
            assert condition.explain_in_one_line(reading) == joined(condition.explain(reading))


def test_an_explanation_is_compiled_once_and_one_line_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []

    def compile_counted(node: Node, *, wanted: bool = True) -> ExplainFunction:
        explain = compile_explanation(node, wanted=wanted)

        def explain_counted(reading: Reading) -> Explanation:
            explained.append(reading)
            return explain(reading)

        compiled.append(wanted)
        return explain_counted

    explained: list[Reading] = []
    monkeypatch.setattr(condition_module, "compile_explanation", compile_counted)
    condition = a_condition("orders >= 31 and trials >= 31")
    lines = [condition.explain_in_one_line(a_reading(orders=1, views=place)) for place in range(5)]
    assert (len(compiled), len(explained), len(set(lines))) == (1, 1, 1)
