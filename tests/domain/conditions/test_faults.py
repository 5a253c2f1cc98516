"""Errors of the condition language: their words and columns."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import Vocabulary, parse
from nurture.domain.errors import ConditionError
from tests.domain.conditions.samples import VOCABULARY, a_condition, conditions
from tests.rig.examples import examples


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        # names
        ("ordrs >= 1", "there is no fact ordrs; did you mean orders?", 0),
        ("vip and card.open > 1", "there is no fact card.open; did you mean cart.open?", 8),
        ("orders() > 1", "there is no function orders()", 0),
        ("silent_day('A') > 1", "did you mean silent_days?", 0),
        ("vip == true", "there is no fact true; write True", 7),
        ("plan == null", "write not known(x)", 8),
        ("plan == None", "write not known(x)", 8),
        ("yes", "`yes` is allowed only after `is`", 0),
        ("count > 1", 'the function is written count("Order Completed")', 0),
        # types
        ("orders", "orders is a number, not a condition; compare it, for example orders >= 1", 0),
        ("vip and plan", 'plan is text, not a condition; compare it, for example plan == "..."', 8),
        ("interests", 'ask what it contains, for example "..." in interests', 0),
        ("renewal_at", "days_since(renewal_at) >= 1", 0),
        ('orders == "1"', 'orders is a number, "1" is text: compare values of the same kind', 10),
        ("plan == 1", "plan is text, 1 is a number", 8),
        ("plan < 'b'", "texts have no order", 7),
        ("vip == 1", "vip is an answer (yes or no), 1 is a number", 7),
        ("vip > True", "an answer is compared with `== True` or `is yes`", 6),
        ("vip == satisfied", "an answer is compared with `== True` or `is yes`", 7),
        ("plan is yes", "plan is text and answers nothing by itself; write known(plan)", 0),
        ("satisfied is None", "write yes, no or unknown after `is`", 13),
        ("satisfied is 'yes'", "write yes, no or unknown after `is`", 13),
        ("orders > 1.5", "orders is a whole number", 9),
        ("spent > 1.999", "spent keeps 2 decimal digits", 8),
        ("interests == 'a'", "interests is a set, 'a' is text: compare values of the same kind", 13),
        ("interests == tags", 'interests is a set; ask what it contains: "..." in interests', 0),
        ("'a' in plan", "plan is text; write a set or a list after `in`", 7),
        ("1 in interests", "1 is a number; sets hold texts", 0),
        ("plan in [1]", "plan is text; 1 is a number", 9),
        ("plan in [city]", "city: a list holds fixed numbers or texts only", 9),
        ("plan in []", "the list is empty", 8),
        ("renewal_at in ['2026-01-01']", "`in [...]` takes a number or a text", 0),
        ("vip in [True]", "`in` takes a value", 0),
        ("renewal_at > 'soon'", "'soon' is no date", 13),
        ("renewal_at - 3 > 1", "renewal_at is an instant, not a number; write days_since(...)", 0),
        ("days_since(orders) > 1", "orders is a number; an instant is needed", 11),
        ("days_since() > 1", "write for example days_since(first_order_at)", 0),
        ("days_since(x=renewal_at) > 1", "write for example days_since(first_order_at)", 0),
        ("local_hour(3) > 1", "write for example local_hour()", 0),
        ("count(plan) > 1", 'write the event\'s name in quotes: "Order Completed"', 6),
        ("count('') > 1", "write the event's name in quotes", 6),
        ("count('a\"b') > 1", 'printable characters and no "', 6),
        ("known(5)", "5 is always known", 6),
        ("(plan or 5) == 'a'", "plan is text; 5 is a number", 9),
        ("(nps or 1.5) > 1", "nps is a whole number", 8),
        ("(nps or spent) > 1", "different numbers of decimal digits", 8),
        ("(nps or vip) > 1", "vip is an answer (yes or no); a default for nps is a number", 8),
        ("(orders + 1 or 2) > 1", "orders + 1 is no single fact", 1),
        ("1 < 2", "both sides are fixed", 0),
        ("'a' == 'a'", "both sides are fixed", 0),
        # moving against moving
        ("days_since(renewal_at) > days_until(renewal_at)", "two terms here move with time", 25),
        ("now == now", "two terms here move with time", 7),
        ("days_since(now) > 1", "now moves with time; compare it", 11),
        ("max(now, renewal_at) > first_order_at", "now moves with time", 4),
        ("now", "now is an instant, not a condition", 0),
        ("now > 3", "now is an instant, 3 is a number", 6),
        ("views_7d > local_hour()", "two terms here move with time", 11),
        ("views_7d + clicks_1d > 1", "two terms here move with time", 0),
        # syntax
        ("", "write True for everybody", 0),
        ("  \n ", "write True for everybody", 0),
        ("orders = 1", "write `==` to compare", 7),
        ("vip && engaged", "write `and`", 5),
        ("vip || engaged", "write `or`", 5),
        ("!vip", "write `not`", 0),
        ("vip and", "cannot be read here", 7),
        ("plan == “pro”", "write plain quotes", 8),
        ("orders >= 1 # enough", "comments are not supported", 12),
        ("(vip) # enough", "comments are not supported", 6),
        ("plan == 'a\\n'", "write the character itself", 10),
        ("orders * 2 > 1", "only + and - are supported", 0),
        ("orders / 2 > 1", "only + and - are supported", 0),
        ("vip & engaged", "write and/or", 0),
        ("~vip", "write `not`", 0),
        ("orders if vip else trials", "write it with and/or", 0),
        ("(lambda: vip)()", "only functions are called", 0),
        ("[1, 2]", "a list is allowed only after `in`", 0),
        ("vip, engaged", "write and/or between conditions", 0),
        ("interests[0] == 'a'", "`[...]` after a name is not supported", 0),
        ("(x := 1) > 0", "write `==` to compare", 1),
        ("f'{plan}' == 'a'", "write plain text", 0),
        ("b'a' == plan", "write a number, a text, True or False", 0),
        ("1j > orders", "write a number, a text, True or False", 0),
        ("plan.upper() == 'A'", "only functions are called", 0),
        ("last('A').x > 1", "a dot is allowed only inside a name", 0),
        ("[x for x in interests]", "ListComp is not supported in a condition", 0),
        ("__import__('os').system('ls')", "only functions are called", 0),
        ("max(*interests) > renewal_at", "`*` is not supported", 4),
        # bounds
        ("orders > 9223372036854775808", "64 bits are kept", 9),
        ("spent > 92233720368547759", "64 bits are kept", 8),
        ("orders > 1e999999", "64 bits are kept", 9),
        ("spent > 1e-999999999", "more than 18 digits after the point", 8),
    ],
)
def test_faults_say_what_to_change_and_where(text: str, words: str, column: int) -> None:
    with pytest.raises(ConditionError, match=re.escape(words)) as caught:
        a_condition(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        "vip and " * 300 + "vip",
        "(" * 900 + "vip" + ")" * 900,
        "not " * 400 + "vip",
        "-" * 1900 + "1 > orders",
        "cart" + ".open" * 300 + " > 1",
        "not (" * 40 + "vip" + ")" * 40,
        "1" * 1990 + " > orders",
        "orders" + " + 1" * 200 + " > 3",
    ],
    ids=lambda text: text[:12],
)
def test_a_condition_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        a_condition(text)


def test_columns_count_characters_not_bytes() -> None:
    with pytest.raises(ConditionError) as caught:
        a_condition('  plan == "北京" and\n ordrs > 1')
    assert caught.value.column == 20


def test_conditions_may_span_lines() -> None:
    assert a_condition("orders >= 1\n  and vip\n").text == "orders >= 1 and vip"


def test_a_condition_on_one_event_knows_no_history() -> None:
    of_event = Vocabulary({"score": VOCABULARY.terms["nps"]}, built_ins=False)
    assert parse("score >= 9", of_event).terms == {"score"}
    for text in ('count("A") > 1', 'silent_days("A") > 1', 'track == "lead"'):
        with pytest.raises(ConditionError):
            parse(text, of_event)


_WORDS = st.sampled_from(
    [
        *"()[],+-*/<>=.:'\"#~!&|%@",
        *("and", "or", "not", "in", "is", "if", "else", "lambda", "None", "True", "yes", "no", "unknown"),
        *(
            "orders",
            "plan",
            "vip",
            "cart.open",
            "interests",
            "renewal_at",
            "satisfied",
            "local_hour()",
            "known(",
        ),
        *(
            "==",
            "!=",
            "<=",
            ">=",
            "1",
            "1.5",
            "1e400",
            '"a"',
            "last(",
            "count('A')",
            "max(",
            "days_since(",
            " ",
            "\n",
        ),
    ]
)


@settings(max_examples=examples(400), deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=14).map(" ".join)))
@example("\x00")
@example("\ud800 == 1")
@example("'\ud800' == plan")
@example("vip\x0cand vip")
@example("\ufeffvip")
@example("plan == 'a' 'b'")
@example("0777 > orders")
@example("𝐨𝐫𝐝𝐞𝐫𝐬 > 1")
def test_random_text_is_read_or_refused_with_a_place(text: str) -> None:
    _check_read_or_refused(text)


@settings(max_examples=examples(200), deadline=None)
@given(conditions, st.data())
def test_a_condition_with_a_hole_is_read_or_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    _check_read_or_refused(text[:start] + text[end:])


def _check_read_or_refused(text: str) -> None:
    fault: ConditionError | None = None
    try:
        a_condition(text)
    except ConditionError as error:
        fault = error
    assert fault is None or (str(fault) and 0 <= fault.column <= len(text))
