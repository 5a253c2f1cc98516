"""Refunds are a part of the total with tax and shipping; what is refunded counts once, whoever tells it."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.entities import entity_of
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.journey.combine_histories import combine_histories
from tests.domain.entities.shop import (
    DAY,
    HOUR,
    NOON,
    SHOP,
    after,
    changed,
    happened,
    order,
    product,
    shop,
    shuffles,
)
from tests.rig.examples import examples

#: Goods for 100, 19 of tax and 5 of shipping.
SOLD = order("A", 100, total=124, tax=19, shipping=5)


def refund(total: Any, at: int = 1, **given: Any) -> Event:
    return happened("Order Refunded", at * DAY, order_id="A", total=total, **given)


@pytest.mark.parametrize(
    ("refunds", "left"),
    [
        ([refund(119)], 403),
        ([refund(100)], 1935),
        ([refund(5)], 9597),
        ([refund(62)], 5000),
        ([refund(62, refund_id="r1"), refund(31, 2, refund_id="r2")], 2500),
        ([refund(124)], None),
        ([refund("123.99")], None),
        ([refund("123.98")], 2),
        ([refund(119, refund_id="r1"), refund(5, 2, refund_id="r2")], None),
        ([refund(200)], None),
        ([refund(0)], 10000),
        ([refund(124, currency="USD")], 10000),
    ],
    ids=[
        "without shipping",
        "the revenue",
        "shipping",
        "half",
        "two",
        "all",
        "a cent less",
        "two cents less",
        "in two parts",
        "more than all",
        "nothing",
        "other currency",
    ],
)
def test_a_refund_takes_its_share_of_the_total(refunds: list[Event], left: int | None) -> None:
    sold = order("A", 100, total=124, currency="EUR")
    for arrival in ([sold, *refunds], [*refunds, sold]):
        contact = after(*arrival)
        assert contact.facts["spent"] == (left or 0)
        assert (contact.facts["orders"], contact.track) == ((0, "lead") if left is None else (1, "customer"))


def test_the_amount_is_the_total_where_no_other_is_told() -> None:
    assert after(order("A", 100), refund(40)).facts["spent"] == 6000
    assert after(order("A", 100), refund(100)).track == "lead"
    # A total without an amount says what is full, and adds nothing.
    contact = after(order("A", None, total=124), refund(124))
    assert (contact.facts["orders"], contact.facts["spent"]) == (0, 0)
    assert after(order("A", None, total=124), refund(100)).facts["orders"] == 1


def test_an_edit_without_a_total_leaves_the_amount_to_compare_with() -> None:
    edited = happened("Order Updated", HOUR, order_id="A", revenue=40)
    assert after(SOLD, edited, refund(10)).facts["spent"] == 3000
    assert after(SOLD, edited, refund(41)).track == "lead"
    # A newer total counts for the amount of before, and one of a page for none that a server told.
    assert after(SOLD, happened("Order Updated", HOUR, order_id="A", total=200), refund(50)).facts[
        "spent"
    ] == (7500)
    page = order("A", 1, 2 * HOUR, total=1, hint=True)
    assert after(SOLD, page, refund(62)).facts["spent"] == 5000


def test_a_free_order_is_an_order_until_it_is_cancelled() -> None:
    assert after(order("A", 0, total=0), refund(0)).facts["orders"] == 1
    assert after(order("A", 0), refund(0)).facts["orders"] == 1
    assert after(order("A", 0, total=5), refund(5)).facts["orders"] == 0
    assert after(order("A", 0, total=0), happened("Order Cancelled", DAY, order_id="A")).facts["orders"] == 0


def test_goods_without_an_amount_are_a_part_of_the_amount() -> None:
    goods = [product("mug", 1, 40)]
    contact = after(
        order("A", 100, total=124, products=[product("mug", 2, 40), product("lid", 1, 20)]),
        refund(None, products=goods),
        refund(31, 2),
    )
    assert contact.facts["spent"] == 3500


def test_each_refund_is_compared_with_the_property_that_it_names() -> None:
    playbook = changed(
        "Order Refunded: {amount: total, key: refund_id}",
        "Order Refunded: {amount: total, key: refund_id}\n      Order Credited: {amount: revenue, key: refund_id}",
    )
    credited = happened("Order Credited", 2 * DAY, order_id="A", revenue=25, refund_id="c")
    assert after(SOLD, refund(62), credited, playbook=playbook).facts["spent"] == 2500


def test_a_dropped_order_is_still_reversed_by_its_total() -> None:
    playbook = shop(SHOP.replace("keep: 20\n    remember: 800d", "keep: 1\n    remember: 800d"))
    sold = [SOLD, order("B", 50, 2 * HOUR)]
    part, whole = (after(*sold, refund(total, 3), playbook=playbook) for total in (62, 124))
    assert (part.facts["orders"], part.facts["spent"]) == (2, 10000)
    assert (whole.facts["orders"], whole.facts["spent"]) == (1, 5000)


# ---- sums of refunds -------------------------------------------------------------------------------------


def sum_of_refunds(total: Any, at: int = 1, **given: Any) -> Event:
    return refund(total, at, cumulative=True, **{"refund_id": "export", **given})


@pytest.mark.parametrize(
    ("refunds", "left"),
    [
        ([sum_of_refunds(31), refund(31, refund_id="r1")], 7500),
        ([refund(31, refund_id="r1"), sum_of_refunds(62, 2), refund(31, 0, refund_id="r2")], 5000),
        ([sum_of_refunds(31), sum_of_refunds(62, 2)], 5000),
        ([sum_of_refunds(62), sum_of_refunds(31, 2)], 5000),
        ([sum_of_refunds(31, refund_id="one"), sum_of_refunds(62, refund_id="two")], 5000),
        ([sum_of_refunds(31), refund(31, refund_id="r1"), refund(31, 2, refund_id="r2")], 5000),
        ([sum_of_refunds(93), refund(31, refund_id="r1"), refund(93, 2, refund_id="r2")], None),
        ([sum_of_refunds(124)], None),
    ],
    ids=["one", "late", "two files", "older file", "two sources", "newer refunds", "all", "sum of all"],
)
def test_a_sum_of_refunds_and_the_refunds_in_it_count_once(refunds: list[Event], left: int | None) -> None:
    events = [SOLD, *refunds]
    for arrival in (events, *shuffles(events, 4), [*events, *reversed(events)]):
        contact = after(*arrival)
        assert (contact.facts["spent"], contact.facts["orders"]) == (left or 0, 0 if left is None else 1)


def test_goods_of_a_sum_leave_the_lines_once() -> None:
    beans = [product("yirga", 1, 20, category="beans")]
    sold = order("A", 60, products=[product("yirga", 3, 20, category="beans")])
    single, so_far = refund(20, refund_id="r1", products=beans), sum_of_refunds(20, 2, products=beans)
    assert after(sold, single, so_far).facts["beans"] == 2


TOTALS = st.sampled_from([0, 10, "31.00", 62, 93.01, 124])
REFUNDS = st.lists(
    st.builds(
        lambda total, at, key, so_far: refund(total, at, refund_id=key, **so_far),
        TOTALS,
        st.integers(0, 9),
        st.sampled_from(["r1", "r2", "r3"]),
        st.sampled_from([{}, {"cumulative": True}]),
    ),
    max_size=7,
)


def _left(refunds: Sequence[Event]) -> Fraction:
    """Return what is left of the share, by the rule: the greater of the greatest sum and the sum of the refunds."""
    single: dict[str, tuple[Any, Fraction]] = {}
    so_far = Fraction(0)
    cumulative = {event.properties["refund_id"] for event in refunds if event.properties.get("cumulative")}
    for event in refunds:
        key, share = event.properties["refund_id"], Fraction(Decimal(str(event.properties["total"]))) / 124
        if event.properties.get("cumulative"):
            so_far = max(so_far, share)
        elif key not in cumulative and (event.occurred_at, event.message_id) > single.get(key, ((),))[0]:
            single[key] = (event.occurred_at, event.message_id), share
    return max(1 - max(so_far, sum((share for _, share in single.values()), Fraction(0))), Fraction(0))


@settings(max_examples=examples(100), deadline=None)
@given(REFUNDS, st.data())
def test_refunds_count_once_in_any_order_from_any_source(refunds: list[Event], data: st.DataObject) -> None:
    left = _left(refunds) if refunds else Fraction(1)
    expected = int((Decimal(10000) * left.numerator / left.denominator).quantize(Decimal(1), ROUND_HALF_EVEN))
    events = [SOLD, *refunds]
    arrival = [*data.draw(st.permutations(events)), *data.draw(st.permutations(events))]
    contact = after(*arrival)
    is_reversed = left * 12400 <= 1
    assert contact.facts["orders"] == (0 if is_reversed else 1)
    assert contact.facts["spent"] == (0 if is_reversed else expected)
    place = data.draw(st.integers(0, len(arrival)))
    parts = [
        after(*part) if part else empty(1, first_seen_at=NOON, playbook=shop())
        for part in (arrival[:place], arrival[place:])
    ]
    combined = combine_histories(parts[0], parts[1], shop())
    assert entity_of(combined, "order", "A") == entity_of(contact, "order", "A")
    assert combined.facts["spent"] == contact.facts["spent"]
