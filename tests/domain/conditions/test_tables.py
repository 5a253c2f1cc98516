"""Tables in conditions: a comparison with a table is the comparison with the row that applies."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.conditions import Reading, Table, parse
from nurture.domain.entities.reading import text_at_hand
from nurture.domain.errors import ConditionError
from nurture.domain.instant import DAY, HOUR
from tests.domain.conditions.samples import NOW, VOCABULARY, a_reading, facts, unshrunk

REWARD = Table("reward", "tier", {"gold": 5, "warm": 2}, "number", 1)
RATE = Table("price", "plan", {"pro": 1.5}, "number", 0)
USUAL = Table("usual", "city", {"Köln": 2 * DAY, "北京": 0}, "duration", 4 * DAY)
WORD = Table("word", "plan", {"pro": "it's 北京", "free": "Köln"}, "text", "none")
HALF = Table("half", "plan", {"pro": 12 * HOUR}, "duration", DAY)
VOCAB = replace(VOCABULARY, tables={table.name: table for table in (REWARD, RATE, USUAL, WORD, HALF)})
TABLES = {"reward": REWARD, "price": RATE, "usual": USUAL, "word": WORD}


def rows_that_apply(table: Table, reading: Reading) -> str:
    """Return the value of the row that applies, as a condition writes it."""
    if table.by == "tier":
        texts = [text for text in ("gold", "warm") if parse(f'tier == "{text}"', VOCAB).truth(reading)]
        value = table.value_for(texts[0] if texts else None)
    else:
        value = table.value_for(reading.facts.get(table.by))
    if table.type == "duration":
        return str(int(value or 0) // DAY)
    return f'"{value}"' if isinstance(value, str) else str(value)


@unshrunk
@given(
    st.data(),
    st.sampled_from(
        [
            "orders >= table(reward)",
            "orders + nps > table(reward) - 1",
            "rate >= table(price)",
            "days_since(renewal_at) > table(usual)",
            "city == table(word)",
            "1 <= table(reward) < 3",
            "table(reward) in [1, 5]",
            "table(usual) != 2",
            "orders >= table(reward) and not table(usual) > 3",
            "table(reward) + orders > table(usual) + 1",
        ]
    ),
)
def test_a_comparison_means_that_of_the_row(data: st.DataObject, text: str) -> None:
    values = data.draw(facts(NOW))
    reading = Reading(values, NOW, values["zone"] or "UTC")
    written_out = text
    for name, table in TABLES.items():
        written_out = written_out.replace(f"table({name})", rows_that_apply(table, reading))
    condition = parse(text, VOCAB)
    if any(char.isalpha() for char in written_out.replace("and", "").replace("not", "").replace("in", "")):
        expected = [parse(part, VOCAB).truth(reading).value for part in [_with_a_fact(written_out)]]
    else:
        expected = ["yes" if eval(written_out) else "no"]
    assert condition.truth(reading).value == expected[0]
    if not any(word in condition.expanded for word in ("days_since", "silent_days", "views_7d")):
        assert condition.next_change(reading) is None


def _with_a_fact(text: str) -> str:
    """Return the text with its parts of numbers alone as answers."""
    parts = [part.strip() for part in text.split(" and ")]
    answers = [
        part if any(char.isalpha() for char in part.replace("not ", "")) else str(eval(part))
        for part in parts
    ]
    return " and ".join(answers)


def test_the_same_condition_without_the_table_has_the_same_next_change() -> None:
    reading = a_reading(renewal_at=NOW - DAY, city="Köln")
    with_table = parse("days_since(renewal_at) > table(usual)", VOCAB)
    assert with_table.next_change(reading) == parse("days_since(renewal_at) > 2", VOCAB).next_change(reading)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orders > table(half)", "table half holds durations that are no whole days"),
        ("table(reward)", "table(reward) is a value; compare it"),
        ("orders > table(rewards)", "there is no table rewards; did you mean reward"),
        ('orders > table("reward")', 'table("reward") is not supported; write for example table(reward)'),
        ("orders > table(word)", "compare values of the same kind"),
    ],
)
def test_a_table_in_the_wrong_place_is_a_fault(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text, VOCAB)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entity", "event", "text"),
    [
        ({"category": "beans"}, {"category": "tea"}, "beans"),
        (
            {"lines": [{"category": "beans", "price": 4}, {"category": "tea", "price": 3, "quantity": 2}]},
            {},
            "tea",
        ),
        ({"lines": [{"price": 40}, {"category": "tea", "price": 3}]}, {}, "tea"),
        ({}, {"category": "tea"}, "tea"),
        ({"category": ""}, {}, None),
    ],
)
def test_the_property_at_hand_is_the_entitys_or_of_its_largest_line(
    entity: dict[str, Any], event: dict[str, Any], text: str | None
) -> None:
    assert text_at_hand("category", entity, event) == text
