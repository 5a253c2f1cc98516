"""A cart is open only while something is in it that was not bought, and a dropped entity stays what it was."""

import pytest

from nurture.domain.entities import dropped, entity_of, fold, is_closed, is_empty, is_open, line_keys
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from tests.domain.entities.shop import DAY, HOUR, after, changed, happened, order, product, shop, shuffles

CART = shop().entities["cart"]


def added(key: str, at: Instant = 0, cart: str = "c1") -> Event:
    return happened("Product Added", at, cart_id=cart, product_id=key, price=10)


def removed(key: str, at: Instant, cart: str = "c1") -> Event:
    return happened("Product Removed", at, cart_id=cart, product_id=key)


def viewed(at: Instant, cart: str = "c1") -> Event:
    return happened("Cart Viewed", at, cart_id=cart)


@pytest.mark.parametrize(
    "events",
    [
        [added("kettle"), removed("kettle", HOUR)],
        [viewed(0)],
        [added("kettle"), order("A", after=HOUR, products=[product("kettle")])],
        [added("kettle"), order("A", after=HOUR, cart_id="other", products=[product("kettle")])],
        [added("kettle"), order("A", after=HOUR, cart_id="c1"), viewed(2 * HOUR)],
        [added("kettle"), order("A", after=HOUR), viewed(2 * HOUR)],
        [added("kettle"), order("A", after=HOUR, products=[product("kettle")]), viewed(2 * HOUR)],
        [added("kettle"), happened("Cart Emptied", HOUR, cart_id="c1"), viewed(2 * HOUR)],
        [added("a"), added("b", 1), order("A", after=HOUR, products=[product("a")]), removed("b", 2 * HOUR)],
        [
            added("a"),
            order("A", after=HOUR, cart_id="x", products=[product("a")]),
            happened("Order Cancelled", DAY, order_id="A"),
        ],
    ],
    ids=[
        "added and removed", "only viewed", "bought without a cart", "bought with another cart", "closed and viewed",
        "all closed and viewed", "bought and viewed", "emptied and viewed", "half bought, half removed",
        "bought and cancelled",
    ],
)  # fmt: skip
def test_nothing_is_left_in_the_cart(events: list[Event]) -> None:
    for arrival in (events, *shuffles(events)):
        contact = after(*arrival)
        assert contact.facts["cart.open"] == 0
        entity = entity_of(contact, "cart", "c1")
        assert entity is not None
        assert not is_open(entity, CART)


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([added("a"), added("b", 1), order("A", after=HOUR, cart_id="x", products=[product("a")])], ["b"]),
        ([added("a"), removed("a", HOUR), added("a", 2 * HOUR)], ["a"]),
        (
            [added("a"), order("A", after=HOUR, products=[product("a")], cart_id="x"), added("a", 2 * HOUR)],
            ["a"],
        ),
        ([added("a"), order("A", after=HOUR), added("b", 2 * HOUR)], ["b"]),
        ([added("a"), order("A", after=HOUR, cart_id="x", products=[product("z")])], ["a"]),
    ],
    ids=["half bought", "added again", "bought and added again", "the next cart", "something else bought"],
)
def test_goods_that_are_left_keep_the_cart_open(events: list[Event], left: list[str]) -> None:
    for arrival in (events, *shuffles(events)):
        contact = after(*arrival)
        assert contact.facts["cart.open"] == 1
        entity = entity_of(contact, "cart", "c1")
        assert entity is not None
        assert line_keys(entity) == left


def test_an_order_that_does_not_say_what_was_bought_takes_everything_that_was_there_before() -> None:
    playbook = changed(
        "closed_by: {Order Completed: key, Cart Emptied: key}", "closed_by: {Cart Emptied: key}"
    )
    events = [added("a"), order("A", after=HOUR), added("b", 2 * HOUR)]
    for arrival in (events, *shuffles(events)):
        contact = after(*arrival, playbook=playbook)
        cart = entity_of(contact, "cart", "c1")
        assert cart is not None
        assert line_keys(cart) == ["b"]


def test_an_update_that_takes_goods_out_of_an_order_leaves_them_in_the_cart() -> None:
    events = [
        added("a"),
        added("b", 1),
        order("A", after=HOUR, cart_id="x", products=[product("a"), product("b")]),
        happened("Order Updated", 2 * HOUR, order_id="A", products=[product("a")]),
    ]
    for arrival in (events, *shuffles(events)):
        entity = entity_of(after(*arrival), "cart", "c1")
        assert entity is not None
        assert line_keys(entity) == ["b"]


def test_lines_that_came_one_by_one_have_their_own_dates() -> None:
    playbook = changed(
        "  last_category:", "  last_added: {latest: product_id, of: cart.lines, type: text}\n  last_category:"
    )
    events = [added("z"), added("a", HOUR), added("b", HOUR // 2, "c2")]
    for arrival in (events, *shuffles(events, 3)):
        assert after(*arrival, playbook=playbook).facts["last_added"] == "a"
    assert after(*events, removed("a", DAY), playbook=playbook).facts["last_added"] == "b"


def test_an_order_without_products_is_not_empty() -> None:
    contact = after(order("A"))
    entity = entity_of(contact, "order", "A")
    assert entity is not None
    assert not is_empty(entity, shop().entities["order"])
    assert contact.facts["order.open"] == 1


# ---- beyond `keep` ---------------------------------------------------------------------------------------


def many_orders(count: int) -> list[Event]:
    return [
        order(f"o{n:03}", 10, HOUR * (n + 2), cart_id=f"x{n}", products=[product(f"p{n}")])
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [20, 21, 60])
def test_a_cart_stays_bought_after_many_orders(count: int) -> None:
    events = [added("kettle"), order("first", after=HOUR, cart_id="x", products=[product("kettle")])]
    contact = after(*events, *many_orders(count), viewed(20 * DAY))
    assert contact.facts["cart.open"] == 0
    assert contact.facts["orders"] == count + 1


def test_a_late_event_about_a_dropped_case_does_not_open_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "_CLOSINGS_MAX", 0)
    opened = [happened("Case Opened", n * DAY, case_id=f"k{n}") for n in range(25)]
    closed = [happened("Case Closed", n * DAY + HOUR, case_id=f"k{n}") for n in range(25)]
    pleased = happened("Survey Answered", 30 * DAY, score=10)
    for late in (
        happened("Case Updated", HOUR // 2, case_id="k0"),
        happened("Case Updated", 31 * DAY, case_id="k0"),
    ):
        contact = after(*opened, *closed, pleased, late)
        assert contact.facts["case.open"] == 0
        assert contact.facts["satisfied"] == "yes"
        assert contact.facts["case.ever"] == 25


def test_a_late_closing_of_a_dropped_case_closes_it() -> None:
    playbook = changed("case: {key: case_id,", "case: {keep: 1, key: case_id,")
    events = [happened("Case Opened", n, case_id=f"k{n}") for n in range(3)]
    closed = happened("Case Closed", HOUR, case_id="k0")
    contact = after(*events, closed, happened("Case Updated", DAY, case_id="k0"), playbook=playbook)
    entity = entity_of(contact, "case", "k0")
    assert entity is not None
    assert is_closed(entity)
    assert contact.facts["case.ever"] == 3


@pytest.mark.parametrize("count", [5, 30, 60])
def test_dropped_orders_stay_in_the_facts_and_can_still_be_reversed(count: int) -> None:
    playbook = changed("keep: 20\n    remember: 800d", "keep: 3\n    remember: 800d")
    events = many_orders(count)
    contact = after(*events, playbook=playbook)
    whole = after(*events, playbook=changed("keep: 20\n    remember: 800d", "keep: 1000\n    remember: 800d"))
    assert len(contact.memory.entities["order"]) == 3
    # Only what is kept whole can be open.
    assert contact.facts | {"order.open": count} == whole.facts
    told_again = after(*events, events[0], order("o001", 10, DAY * 300, cart_id="x"), playbook=playbook)
    assert (told_again.facts["orders"], told_again.facts["spent"]) == (count, count * 1000)
    reversals = [happened("Order Cancelled", 400 * DAY, order_id="o000")]
    reversals.append(happened("Order Refunded", 400 * DAY, order_id="o001", total=4))
    less = after(*events, *reversals, playbook=playbook)
    assert (less.facts["orders"], less.facts["spent"]) == (count - 1, count * 1000 - 1400)
    assert "p0" not in less.facts["bought"]


def test_the_oldest_of_very_many_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "_BURIED_MAX", 10)
    playbook = changed("keep: 20\n    remember: 800d", "keep: 1\n    remember: 800d")
    events = many_orders(80)
    contact = after(*events, playbook=playbook)
    whole = after(*events, playbook=changed("keep: 20\n    remember: 800d", "keep: 1000\n    remember: 800d"))
    assert len(contact.memory.buried["order"]) == 11
    assert contact.facts | {"order.open": 80} == whole.facts
    assert contact.memory.net == whole.memory.net
