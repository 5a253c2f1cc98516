"""Segments stand for conditions: a condition with their names means the same as with their texts in place."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.conditions import Reading, SegmentText, Vocabulary, parse
from nurture.domain.errors import ConditionError
from tests.domain.conditions.samples import (
    NOW,
    VOCABULARY,
    a_condition,
    a_reading,
    conditions,
    facts,
    unshrunk,
)

PLAIN = replace(VOCABULARY, segments={})


@unshrunk
@given(st.data(), conditions)
def test_a_condition_answers_as_its_expanded_text(data: st.DataObject, text: str) -> None:
    condition = a_condition(text)
    written_out = parse(condition.expanded, PLAIN)
    values = data.draw(facts(NOW))
    reading = Reading(values, NOW, values["zone"] or "UTC")
    assert condition.truth(reading) == written_out.truth(reading)
    assert condition.next_change(reading) == written_out.next_change(reading)
    assert condition.terms == written_out.terms
    assert condition.events == written_out.events
    assert (condition.grows, condition.moving) == (written_out.grows, written_out.moving)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nps": 9, "vip": True}, "warm"),
        ({"vip": True}, "close"),
        ({"nps": 1, "vip": False}, "standard"),
        # An unknown rung is not yes.
        ({}, "standard"),
    ],
)
def test_a_ladder_is_the_first_rung_that_is_yes(values: dict[str, Any], text: str) -> None:
    reading = a_reading(**values)
    stands = [
        rung
        for rung in ("gold", "warm", "close", "standard")
        if a_condition(f'tier == "{rung}"').truth(reading)
    ]
    assert stands == [text]
    assert a_condition(f'tier in ["{text}", "gold"]').truth(reading)
    assert not a_condition(f'"{text}" != tier').truth(reading)


def test_a_ladder_without_else_is_unknown_where_no_rung_is_yes() -> None:
    assert not a_condition("known(depth)").truth(a_reading())
    assert a_condition("known(depth)").truth(a_reading(spent=600))
    assert a_condition('depth != "deep"').truth(a_reading())


def test_evidence_of_a_stage_may_be_a_segment() -> None:
    vocabulary = replace(VOCABULARY, segments={"regular": SegmentText("regular", (("", "orders >= 2"),))})
    assert parse("regular", vocabulary).grows
    assert not a_condition('tier == "gold"').grows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tier == "silver"', 'tier has no rung "silver"; known: gold, warm, close, standard'),
        ('tier == "golden"', 'tier has no rung "golden"; did you mean gold?'),
        ("tier", 'tier is a ladder; compare it with a rung, for example tier == "gold"'),
        (
            "tier == plan",
            'tier == plan: a ladder is compared with its rungs; write tier == "..." or tier in [...]',
        ),
        ('tier > "gold"', 'tier > "gold": a ladder is compared with its rungs'),
        ("tier is yes", "tier is yes: a ladder is compared with its rungs"),
        ('tier or "gold"', "tier is a ladder"),
        ("quiet >= 1", "quiet is an answer (yes or no), 1 is a number"),
        ("quite", "there is no fact quite; did you mean quiet"),
    ],
)
def test_a_segment_in_the_wrong_place_is_a_fault_with_advice(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        a_condition(text)
    assert message in str(caught.value)


def test_segments_that_read_each_other_are_a_fault() -> None:
    segments = {name: SegmentText(name, (("", other),)) for name, other in (("a", "b"), ("b", "a"))}
    with pytest.raises(ConditionError, match="segment a reads b reads a; break the circle"):
        parse("a", Vocabulary({}, segments=segments))


def test_a_condition_that_grows_without_bound_is_a_fault() -> None:
    first = SegmentText("s0", (("", "orders == 1 and trials == 1"),))
    doubled = [SegmentText(f"s{n}", (("", f"s{n - 1} or s{n - 1}"),)) for n in range(1, 12)]
    segments = {segment.name: segment for segment in (first, *doubled)}
    with pytest.raises(ConditionError, match="too long with its segments"):
        parse("s11", replace(VOCABULARY, segments=segments))


def test_an_explanation_names_the_segment_and_its_parts() -> None:
    lines = a_condition('tier == "warm"').explain(a_reading(nps=2)).lines()
    assert lines[0].split() == ["no", "tier", "==", '"warm"']
    assert any("not gold" in line for line in lines)
    assert any("nps >= 4: nps is 2, needs >= 4" in line for line in lines)
