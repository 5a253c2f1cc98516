"""The promise of a measure in words: every form, and texts that are no promise."""

import pytest

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import Expectation, parse_expect


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("+2%", Expectation("points", 0.02)),
        ("+2pp", Expectation("points", 0.02)),
        ("-1%", Expectation("points", -0.01)),
        ("+1.5 %", Expectation("points", 0.015)),
        ("+20% relative", Expectation("relative", 0.2)),
        ("+1.50 EUR", Expectation("amount", 1.5, "EUR")),
        ("25%", Expectation("level", 0.25)),
        ("at most 3%", Expectation("ceiling", 0.03)),
    ],
)
def test_every_form_is_read(text: str, meaning: Expectation) -> None:
    found = parse_expect(text)
    assert found.kind == meaning.kind
    assert found.size == pytest.approx(meaning.size)
    assert found.currency == meaning.currency


@pytest.mark.parametrize(
    "text",
    ["", "banana", "2", "2pp", "1.50 EUR", "+1.50 eur", "+20 relative", "25% relative", "at most +3%", "+1e9%",
     "at most 3 EUR", "+9999999999%", "+٢%"],
)  # fmt: skip
def test_other_texts_are_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InputError, match=r"write|sign|rate|percent"):
        parse_expect(text)


def test_a_difference_needs_people_without_the_measure_and_a_level_does_not() -> None:
    assert parse_expect("+2%").needs_holdout
    assert not parse_expect("25%").needs_holdout
    assert parse_expect("-1%").should_fall
    assert parse_expect("at most 3%").should_fall
    assert not parse_expect("+2%").should_fall
