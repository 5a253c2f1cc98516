"""The answer of each part of the condition language for one contact."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import ALWAYS, Reading, Term, Truth, Vocabulary, parse
from nurture.domain.instant import DAY, HOUR, NEVER, parse_iso
from tests.domain.conditions.samples import (
    EVES,
    NOW,
    VOCABULARY,
    ZONES,
    a_condition,
    a_reading,
    conditions,
    facts,
    unshrunk,
)
from tests.rig.examples import examples

YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        # counts start at zero, values nobody gave are unknown
        ("orders == 0", {}, YES),
        ("orders >= 1", {}, NO),
        ('count("Order Completed") == 0', {}, YES),
        ('count("Order Completed") >= 2', {"count:Order Completed": 2}, YES),
        ("nps >= 9", {}, UNKNOWN),
        ("nps >= 9", {"nps": None}, UNKNOWN),
        ("nps >= 9", {"nps": 9}, YES),
        ("9 <= nps", {"nps": 8}, NO),
        ("1 <= nps < 5", {"nps": 5}, NO),
        ("-1 < nps", {"nps": 0}, YES),
        ("cart.open >= 1", {"cart.open": 2}, YES),
        # a stored value of another type is unknown, also where a missing one is not
        ("orders == 0", {"orders": "none"}, UNKNOWN),
        ("orders == 1", {"orders": True}, UNKNOWN),
        ("engaged", {"engaged": 1}, UNKNOWN),
        ('"bike" in interests', {"interests": [1]}, UNKNOWN),
        ("views_7d >= 1", {"views_7d": ["bike"]}, UNKNOWN),
        # decimals are compared exactly, in the digits they keep
        ("spent >= 19.99", {"spent": 1999}, YES),
        ("spent > 19.99", {"spent": 1999}, NO),
        ("spent >= 20", {"spent": 1999}, NO),
        ("spent == 1e2", {"spent": 10000}, YES),
        ("spent > orders", {"spent": 201, "orders": 2}, YES),
        ("rate > spent", {"rate": 5, "spent": 49}, YES),
        ("orders + trials - 1 >= 2", {"orders": 1, "trials": 2}, YES),
        ("5 - orders > 3", {"orders": 2}, NO),
        ("(nps or 10) >= 9", {}, YES),
        ("(nps or orders) >= 9", {"orders": 3}, NO),
        # verdicts and bools
        ("satisfied", {"satisfied": "yes"}, YES),
        ("not satisfied", {"satisfied": "no"}, YES),
        ("satisfied", {}, UNKNOWN),
        ("satisfied is not no", {}, YES),
        ("satisfied is not no", {"satisfied": "no"}, NO),
        ("satisfied is yes", {"satisfied": "unknown"}, NO),
        ("vip", {}, UNKNOWN),
        ("vip == False", {"vip": False}, YES),
        ("vip != True", {"vip": True}, NO),
        ("engaged", {}, NO),
        ("(nps > 3) is unknown", {}, YES),
        # text and sets
        ('plan == "pro"', {"plan": "pro"}, YES),
        ('plan != "pro"', {"plan": "Pro"}, YES),
        ('plan in ["pro", "team"]', {"plan": "team"}, YES),
        ('plan not in ["pro", "team"]', {"plan": "free"}, YES),
        ('plan not in ("pro", "team")', {}, UNKNOWN),
        ('(plan or "free") == "free"', {}, YES),
        ("plan == city", {"plan": "Köln", "city": "Köln"}, YES),
        ('city == ""', {}, YES),
        ('"bike" in interests', {"interests": ["shoes", "bike"]}, YES),
        ('"bike" not in interests', {}, YES),
        ('"bike" in tags', {}, UNKNOWN),
        ("plan in interests", {"plan": "pro", "interests": ["pro"]}, YES),
        ("plan in interests", {"interests": ["pro"]}, UNKNOWN),
        ('track == "customer"', {"track": "customer"}, YES),
        # known
        ("known(nps)", {}, NO),
        ("known(orders)", {}, YES),
        ("known(nps + orders)", {"nps": 3}, YES),
        ("known(vip)", {"vip": False}, YES),
        ("known(nps > 3)", {}, NO),
        ('known(last("Signed In"))', {}, YES),
    ],
)
def test_facts_are_read_by_their_type(text: str, found: dict[str, Any], expected: Truth) -> None:
    assert a_condition(text).truth(a_reading(**found)) is expected


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("days_since(renewal_at) == 2", {"renewal_at": NOW - 3 * DAY + 1}, YES),
        ("days_since(renewal_at) == 3", {"renewal_at": NOW - 3 * DAY}, YES),
        ("days_since(renewal_at) == -1", {"renewal_at": NOW + 1}, YES),
        ("days_since(renewal_at) > 3", {}, UNKNOWN),
        ("days_since(first_order_at) > 9000000000000000000", {}, YES),
        ("days_since(first_order_at) > 3", {"first_order_at": NEVER}, YES),
        ("days_since(first_order_at) == 3", {}, NO),
        ("days_until(first_order_at) < -9000000000000000000", {}, YES),
        ("days_until(renewal_at) == 2", {"renewal_at": NOW + 2 * DAY}, YES),
        ("days_until(renewal_at) == 1", {"renewal_at": NOW + 2 * DAY - 1}, YES),
        ("days_until(renewal_at) == -1", {"renewal_at": NOW - 1}, YES),
        ('silent_days("Signed In") == 90', {}, YES),
        ('silent_days("Signed In", "Order Completed") == 4', {"last:Order Completed": NOW - 4 * DAY}, YES),
        ('silent_days("Signed In") > 30', {"first_seen_at": None}, UNKNOWN),
        ('last("Signed In") > first("Signed In")', {"first:Signed In": 1, "last:Signed In": 2}, YES),
        ('last("Signed In") == first("Signed In")', {}, YES),
        ('max(last("Signed In"), renewal_at) > "2026-11-22"', {"renewal_at": NOW}, YES),
        ('min(last("Signed In"), renewal_at) > "2026-11-22"', {"renewal_at": NOW}, NO),
        ('max(last("Signed In"), renewal_at) > "2026-11-22"', {"last:Signed In": NOW}, UNKNOWN),
        ('first_seen_at < "2026-08-24T12:00:01+02:00"', {}, YES),
        ("days_since(renewal_at) > orders + 1", {"renewal_at": NOW - 4 * DAY, "orders": 2}, YES),
        ("views_7d == 2", {"views_7d": [NOW - 7 * DAY, NOW - 7 * DAY + 1, NOW]}, YES),
        ("views_7d >= 1", {}, NO),
        ("clicks_1d >= 1", {}, UNKNOWN),
        ("views_7d > orders", {"views_7d": [NOW - 1], "orders": 1}, NO),
    ],
)
def test_time_is_counted_in_whole_days_from_now(text: str, found: dict[str, Any], expected: Truth) -> None:
    assert a_condition(text).truth(a_reading(**found)) is expected


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (
            "UTC",
            'local_weekday() == "sun" and local_hour() == 10 and local_day() == 22 and local_month() == 11',
        ),
        ("Pacific/Kiritimati", 'local_weekday() == "mon" and local_hour() == 0 and local_day() == 23'),
        ("Etc/GMT+12", 'local_weekday() == "sat" and local_hour() == 22 and local_day() == 21'),
        ("Asia/Kathmandu", "local_hour() == 15"),
        ("America/New_York", "5 == local_hour()"),
    ],
)
def test_local_terms_follow_the_contacts_zone(zone: str, text: str) -> None:
    assert a_condition(text).truth(a_reading(zone=zone)) is YES


@pytest.mark.parametrize(
    ("at", "hour"),
    [
        ("2026-03-29T00:59:59.999999Z", 1),
        ("2026-03-29T01:00:00Z", 3),
        ("2026-10-25T00:59:59Z", 2),
        ("2026-10-25T01:00:00Z", 2),
        ("2026-10-25T02:00:00Z", 3),
    ],
)
def test_the_local_hour_skips_and_repeats_with_daylight_saving(at: str, hour: int) -> None:
    reading = a_reading(now=parse_iso(at), zone="Europe/Berlin")
    assert a_condition(f"local_hour() == {hour}").truth(reading) is YES


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "America"])
def test_local_terms_are_unknown_in_a_zone_that_does_not_exist(zone: str) -> None:
    condition = a_condition("local_hour() >= 0")
    assert condition.truth(a_reading(zone=zone)) is UNKNOWN
    assert condition.next_change(a_reading(zone=zone)) is None


# ---- what a condition says about itself ------------------------------------------------------------------


def test_a_condition_names_what_it_reads() -> None:
    condition = a_condition(
        'cart.open > 1 and silent_days("Signed In", "已下单") > 3 or count("Trial") > 0 and vip'
    )
    assert condition.terms == {"cart.open", "vip"}
    assert condition.events == {"Signed In", "已下单", "Trial"}


@pytest.mark.parametrize(
    ("text", "moving"),
    [
        ("orders > 1 and vip", False),
        ("days_since(renewal_at) > 3", True),
        ("views_7d > 3", True),
        ("known(days_since(renewal_at))", False),
        ("(local_hour() > 3) is not no", True),
        ('last("Signed In") > first("Signed In")', False),
    ],
)
def test_a_condition_tells_whether_time_alone_can_change_it(text: str, moving: bool) -> None:
    assert a_condition(text).moving is moving


@pytest.mark.parametrize(
    ("text", "grows"),
    [
        ("True", True),
        ("orders >= 1", True),
        ("1 <= orders", True),
        ("orders > 1 or trials >= 1 and engaged", True),
        ("orders + trials >= 3", True),
        ("3 < orders + trials", True),
        ('count("Trial") >= 1 and last("Trial") > "2026-01-01"', True),
        ("known(orders)", True),
        ("engaged == True", True),
        ("(orders >= 1) is yes", True),
        ("orders == 1", False),
        ("orders <= 3", False),
        ("orders - trials >= 1", False),
        ("not (orders >= 1)", False),
        ("cart.open >= 1", False),
        ("nps >= 9", False),
        ("(orders or 3) >= 2", False),
        ('first("Trial") > "2026-01-01"', False),
        ("days_since(renewal_at) > 3", False),
        ("views_7d >= 2", False),
        ('"bike" in interests', False),
        ("satisfied is yes", False),
        ("(orders >= 1) is not no", False),
    ],
)
def test_a_condition_tells_whether_it_stays_yes_as_facts_grow(text: str, grows: bool) -> None:
    assert a_condition(text).grows is grows


def test_conditions_are_equal_when_text_and_meaning_are() -> None:
    other = Vocabulary({"orders": Term("orders", "integer")})
    assert a_condition("orders  >= 1") == a_condition("orders >= 1")
    assert hash(a_condition("orders >= 1")) == hash(parse("orders >= 1", other))
    assert a_condition("orders >= 1") != parse("orders >= 1", other)
    assert str(a_condition(" orders\n>= 1 ")) == "orders >= 1"


def test_always_holds_for_everybody() -> None:
    assert ALWAYS.truth(Reading({}, NOW)) is YES
    assert ALWAYS.grows
    assert not ALWAYS.moving
    assert parse("True", VOCABULARY) == ALWAYS


def test_added_terms_replace_terms_of_the_same_name() -> None:
    merged = VOCABULARY.with_terms(
        {"orders": Term("orders", "text"), "deadline": Term("deadline", "instant")}
    )
    assert parse('orders == "a" and days_until(deadline) >= 2 and track == "lead"', merged).terms == {
        "orders",
        "deadline",
        "track",
    }


def test_a_term_is_absent_only_as_something_its_type_has() -> None:
    with pytest.raises(ValueError, match="plan: a missing text is unknown or empty, not zero"):
        Term("plan", "text", "zero")


# ---- Kleene ----------------------------------------------------------------------------------------------


def test_truth_follows_kleene() -> None:
    order = [NO, UNKNOWN, YES]
    for a, b in product(Truth, repeat=2):
        assert (a & b) is min(a, b, key=order.index)
        assert (a | b) is max(a, b, key=order.index)
    assert [~a for a in order] == [YES, UNKNOWN, NO]
    assert [bool(a) for a in order] == [False, False, True]


@settings(unshrunk, max_examples=examples(100))
@given(
    data=st.data(),
    first=conditions,
    second=conditions,
    now=st.sampled_from(EVES),
    zone=st.sampled_from(ZONES),
)
def test_conditions_follow_kleene(data: st.DataObject, first: str, second: str, now: int, zone: str) -> None:
    reading = Reading(data.draw(facts(now)), now, zone)
    a, b = (a_condition(text).truth(reading) for text in (first, second))
    expected = {
        f"({first}) and ({second})": a & b,
        f"({first}) or ({second})": a | b,
        f"not ({first})": ~a,
        f"not (({first}) and ({second}))": ~a | ~b,
        f"not (({first}) or ({second}))": ~a & ~b,
        f"({first}) is unknown": YES if a is UNKNOWN else NO,
        f"known({first})": NO if a is UNKNOWN else YES,
    }
    assert {text: a_condition(text).truth(reading) for text in expected} == expected


def test_a_day_has_every_hour() -> None:
    condition = a_condition("local_hour() in [0, 6, 12, 18]")
    answers = [condition.truth(a_reading(now=NOW + hour * HOUR)) for hour in range(24)]
    assert answers.count(YES) == 4
