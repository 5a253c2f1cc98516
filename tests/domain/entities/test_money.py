"""Amounts are kept per currency; one that the brand does not name is added to nothing."""

from itertools import permutations
from typing import Any

import pytest

from nurture.domain.conditions import parse
from nurture.domain.errors import ConditionError
from nurture.domain.facts import view
from nurture.domain.playbook import Playbook
from tests.domain.entities.shop import DAY, HOUR, SHOP, after, changed, happened, order, product, shop

BOTH = shop(SHOP.replace("currencies: [EUR]", "currencies: [EUR, CNY]").replace(" or spent >= 500", ""))


def test_amounts_of_two_currencies_are_two_facts() -> None:
    contact = after(
        order("A", 10, currency="EUR"),
        order("B", 20, HOUR, currency="cny"),
        order("C", 5, DAY),
        playbook=BOTH,
    )
    assert (contact.facts["spent.EUR"], contact.facts["spent.CNY"]) == (1500, 2000)
    assert "spent" not in contact.facts
    assert contact.facts["largest.CNY"] == 2000
    assert contact.facts["orders"] == 3


def test_lines_have_the_currency_of_their_order() -> None:
    beans = product("yirga", 2, 20, category="beans")
    contact = after(order("A", 40, currency="CNY", products=[beans]), playbook=BOTH)
    assert (contact.facts["beans_spent.EUR"], contact.facts["beans_spent.CNY"]) == (0, 4000)


@pytest.mark.parametrize("playbook", [BOTH, shop()], ids=["two", "one"])
def test_an_amount_in_another_currency_is_added_to_nothing(playbook: object) -> None:
    contact = after(order("A", 10, currency="EUR"), order("B", 7000, HOUR, currency="JPY"), playbook=playbook)  # type: ignore[arg-type]
    assert contact.facts["spent.EUR"] == 1000
    assert contact.facts["orders"] == 2
    assert contact.facts["other_currencies"] == ["JPY"]


@pytest.mark.parametrize("currency", [None, "", " ", 978, ["EUR"]])
def test_an_amount_without_a_currency_counts_in_the_first_one(currency: object) -> None:
    contact = after(order("A", 10, currency=currency), playbook=BOTH)
    assert contact.facts["spent.EUR"] == 1000
    assert "other_currencies" not in contact.facts


def test_a_refund_in_another_currency_gives_nothing_back() -> None:
    refund = happened("Order Refunded", DAY, order_id="A", total=10, currency="CNY")
    contact = after(order("A", 10, currency="EUR"), refund, playbook=BOTH)
    assert (contact.facts["spent.EUR"], contact.track) == (1000, "customer")


def test_a_condition_names_the_currency_once_there_are_two() -> None:
    assert parse("spent >= 5 and spent.EUR >= 5", shop().vocabulary).terms == {"spent", "spent.EUR"}
    assert parse("spent.CNY >= 5", BOTH.vocabulary).terms == {"spent.CNY"}
    with pytest.raises(ConditionError, match=r"spent is kept per currency; write spent\.CNY"):
        parse("spent >= 5", BOTH.vocabulary)


def test_a_single_currency_under_its_older_name_is_one_too() -> None:
    playbook = changed("currencies: [EUR]", "currency: EUR")
    assert after(order("A", 10), playbook=playbook).facts["spent"] == 1000


def test_templates_read_amounts_by_currency() -> None:
    contact = after(order("A", 10, currency="EUR"), order("B", 20, HOUR, currency="CNY"), playbook=BOTH)
    assert view(contact, BOTH, now=0)["contact"]["spent"] == {"EUR": 1000, "CNY": 2000}
    assert view(after(order("A", 10)), shop(), now=0)["contact"]["spent"] == 1000


def test_a_sum_over_events_adds_the_first_currency_only() -> None:
    playbook = changed("  last_category:", "  paid: {sum: revenue, of: Order Completed}\n  last_category:")
    contact = after(
        order("A", 10), order("B", 20, currency="EUR"), order("C", 70, currency="JPY"), playbook=playbook
    )
    assert contact.facts["paid"] == 3000


@pytest.mark.parametrize("playbook", [shop(), BOTH], ids=["one currency", "two currencies"])
@pytest.mark.parametrize(
    ("named", "refunded", "is_reversed"),
    [
        ({}, "USD", False),
        ({}, "EUR", True),
        ({}, None, True),
        ({"currency": "CNY"}, "EUR", False),
        ({"currency": "CNY"}, "CNY", True),
    ],
)
def test_a_refund_in_another_currency_than_the_order_s_gives_nothing_back(
    playbook: Playbook, named: dict[str, Any], refunded: str | None, is_reversed: bool
) -> None:
    refund = happened("Order Refunded", HOUR, order_id="A", total=10, currency=refunded)
    for events in permutations([order("A", 10, **named), refund]):
        assert after(*events, playbook=playbook).track == ("lead" if is_reversed else "customer")


def test_a_dropped_order_is_refunded_in_the_currency_of_its_fields() -> None:
    few = changed("keep: 20\n    remember: 800d", "keep: 1\n    remember: 800d")
    currency = happened("Order Updated", 1, order_id="A", currency="CNY")
    refunds = [
        happened("Order Refunded", DAY + place, order_id="A", refund_id=place, total=10, currency=name)
        for place, name in enumerate(("EUR", "CNY"))
    ]
    events = [order("A", 10), currency, order("B", 10, HOUR), *refunds]
    assert after(*events[:4], playbook=few).facts["orders"] == 2
    assert after(*events, playbook=few).facts["orders"] == 1


def test_a_currency_that_is_null_leaves_the_one_that_was_told() -> None:
    update = happened("Order Updated", DAY, order_id="A", revenue=12, currency=None)
    for events in permutations([order("A", 10, currency="CNY"), update]):
        assert after(*events, playbook=BOTH).facts["spent.CNY"] == 1200
