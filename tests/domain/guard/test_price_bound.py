"""`price_at_most`: a small purchase stays small, by the prices of the objects as they are read when the mail leaves."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from nurture.domain.guard.decide import decide
from nurture.domain.measure import Action
from nurture.domain.message import Verdict
from nurture.playbook import find_faults, rebuild
from tests.delivery.builders import NOON, a_guard_input, a_measure, a_playbook
from tests.playbook.builder import changed

BOUNDS = {"entry_purchase": {"EUR": Decimal(25), "CNY": Decimal(180)}}


def verdict_on(objects: dict[str, Any], kind: str = "entry_purchase") -> Verdict:
    playbook = a_playbook(replace(a_measure(), action=Action(kind, "https://shop.example")))
    playbook = replace(playbook, price_bounds=BOUNDS, currencies=("EUR", "CNY"))
    return decide(replace(a_guard_input(), objects=objects), now=NOON, playbook=playbook)


@pytest.mark.parametrize(
    "objects",
    [
        {"product": {"price": 25}},
        {"product": {"price": "24.99", "currency": "EUR"}},
        {"product": {"price": 180, "currency": "CNY"}},
        {"product": {"price": 3}, "piece": {"title": "How to brew"}},
        {"related": [{"price": 3}, {"price": 25.0}]},
    ],
)
def test_prices_within_the_bound_pass(objects: dict[str, Any]) -> None:
    assert verdict_on(objects).reason == ""


@pytest.mark.parametrize(
    ("objects", "detail"),
    [
        ({}, "no object of this mail tells its price"),
        ({"piece": {"title": "How to brew"}}, "no object of this mail tells its price"),
        ({"product": {"price": 25.01}}, "product.price is 25.01; a price in EUR is at most 25"),
        ({"product": {"price": 26, "currency": "CHF"}}, "product.price is 26; a price in CHF has no bound"),
        ({"product": {"price": "soon"}}, "product.price is unknown; a price in EUR is at most 25"),
        ({"product": {"price": None}}, "product.price is unknown; a price in EUR is at most 25"),
        ({"related": [{"price": 3}, {"price": 99}]}, "related.price is 99; a price in EUR is at most 25"),
    ],
)
def test_a_price_above_the_bound_or_unknown_stops_the_mail(objects: dict[str, Any], detail: str) -> None:
    verdict = verdict_on(objects)
    assert (verdict.action, verdict.reason) == ("skip", "price_bound")
    assert [check.detail for check in verdict.checks if not check.passed] == [detail]


def test_other_kinds_of_action_have_no_bound() -> None:
    assert verdict_on({"product": {"price": 999}}, "buy").reason == ""


CART = "lead/convert/cart/measure.yaml"


def with_bound(bound: str = "{EUR: 25, CNY: 180}") -> dict[str, str]:
    files = changed("playbook.yaml", "buy: {sells: true}", f"buy: {{sells: true, price_at_most: {bound}}}")
    return changed("customer/any/coupon/measure.yaml", "kind: buy", "kind: resume", files)


def faults(files: dict[str, str]) -> list[str]:
    texts = [str(fault) for fault in find_faults(files, render=False)]
    return [text for text in texts if not text.startswith("customer/any/coupon/")]


def test_the_bound_is_read_from_the_file_and_changes_the_rules() -> None:
    assert faults(with_bound()) == []
    playbook = rebuild(with_bound(), id_=0).playbook
    assert playbook.price_bounds == {"buy": {"EUR": Decimal(25), "CNY": Decimal(180)}}
    assert playbook.rules_hash != rebuild(with_bound("{EUR: 25, CNY: 181}"), id_=0).playbook.rules_hash


def test_without_an_object_no_price_can_be_read() -> None:
    files = changed(CART, "objects: {product: {kind: product, key: entity.product_id}}\n", "", with_bound())
    files = changed(CART, "    send_if: product.stock >= 1\n", "", files)
    assert faults(files)[0] == (
        f"{CART}:4: `buy` without an object: its price cannot be read: "
        "bind what the mail sells under `objects`, so that `price` is read as it is sent"
    )


@pytest.mark.parametrize(
    ("bound", "fault"),
    [
        ("{EUR: 0}", "`EUR`: 0 is no amount: write for example 25 or 25.50"),
        ("{EUR: cheap}", "`EUR`: 'cheap' is no amount: write for example 25 or 25.50"),
        ("{}", "`price_at_most` has too few entries: give at least 1"),
    ],
)
def test_a_bound_is_an_amount(bound: str, fault: str) -> None:
    assert fault in "\n".join(faults(with_bound(bound)))


def test_a_bound_covers_every_currency_and_something_that_sells() -> None:
    files = changed("playbook.yaml", 'color: "#1f5a4c"', "currencies: [EUR, CNY]", with_bound("{EUR: 25}"))
    assert "`buy` has no bound in CNY, so mail about a price in CNY never leaves: add `CNY:`" in "\n".join(
        faults(files)
    )
    files = changed("playbook.yaml", "use: {sells: false}", "use: {sells: false, price_at_most: {EUR: 1}}")
    assert "a bound for the price of `use`, which does not sell: write `sells: true`" in "\n".join(
        faults(files)
    )
