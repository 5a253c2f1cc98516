"""Facts as people read them."""

from typing import Any

import pytest

from nurture.domain.cells.shown_facts import show_facts
from nurture.domain.instant import DAY, NEVER, parse_iso
from nurture.domain.playbook import Playbook
from nurture.playbook import rebuild
from tests.web.live import FILES

NOW = parse_iso("2026-11-30T12:00:00Z")
FACTS = """
entities:
  order: {key: order_id, of: Order Completed, counts_from: Order Completed, amount: revenue}
  cart: {key: cart_id, of: Product Added}
facts:
  orders: {count: order}
  spent: {sum: amount, of: order}
  largest: {max: revenue, of: Order Completed, type: decimal}
  weight: {sum: weight, of: Order Completed, type: decimal, scale: 3}
  first_order_at: {first: order}
  views: {count: Product Viewed, within: 7d, keep: 50}
  interests: {set: category, of: Article Read, keep: 20}
  engaged: {ever: Article Read}
  plan: {latest: plan, of: Plan Changed, type: text}
"""


def a_playbook(currencies: str) -> Playbook:
    text = FILES["playbook.yaml"].replace("facts: {orders: {count: Order Completed}}\n", "")
    text = text.replace("brand: {", f"brand: {{currencies: [{currencies}], ")
    return rebuild({**FILES, "playbook.yaml": text + FACTS}, id_=1).playbook


def shown(playbook: Playbook, facts: dict[str, Any], zone: str | None = None) -> dict[str, Any]:
    return show_facts(facts, playbook, zone=zone, now=NOW)


@pytest.fixture(scope="module")
def euros() -> Playbook:
    return a_playbook("EUR")


def test_amounts_have_their_digits_and_currency(euros: Playbook) -> None:
    assert shown(euros, {"spent": 8900, "largest": 5, "weight": 1250}) == {
        "spent": "89.00 EUR",
        "largest": "0.05 EUR",
        "weight": "1.250",
    }
    yen = a_playbook("JPY, KRW")
    assert shown(yen, {"spent.JPY": 500_000, "spent.KRW": 50}) == {
        "spent.JPY": "5000 JPY",
        "spent.KRW": "0.50 KRW",
    }
    both = a_playbook("EUR, USD")
    facts = {"spent.EUR": 8900, "spent.USD": 5}
    assert shown(both, facts) == {"spent.EUR": "89.00 EUR", "spent.USD": "0.05 USD"}


def test_instants_are_local_times_with_their_zone(euros: Playbook) -> None:
    at = 1796004731616671
    assert shown(euros, {"first_order_at": at}) == {"first_order_at": "2026-11-30T03:12:11+01:00"}
    assert shown(euros, {"first_order_at": at}, "America/New_York") == {
        "first_order_at": "2026-11-29T21:12:11-05:00"
    }
    assert shown(euros, {"first_order_at": NEVER}) == {"first_order_at": None}
    assert shown(euros, {"cart.last_at": at, "cart.open": 2}) == {
        "cart.last_at": "2026-11-30T03:12:11+01:00",
        "cart.open": 2,
    }


def test_lists_windows_and_answers_are_words(euros: Playbook) -> None:
    views = [NOW - 8 * DAY, NOW - DAY, NOW]
    words = {"interests": ["tea", "beans"], "engaged": True, "plan": "gold", "orders": 3}
    facts = {"views": views, **words}
    assert shown(euros, facts) == {
        "views": 2,
        "interests": "tea, beans",
        "engaged": "yes",
        "plan": "gold",
        "orders": 3,
    }


def test_facts_that_the_playbook_does_not_declare_are_left_out(euros: Playbook) -> None:
    assert shown(euros, {"count:Order Completed": 3, "gone": 1}) == {}
