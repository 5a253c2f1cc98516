"""An order counts once for its key, net of what was given back, whoever tells it and however often."""

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from nurture.contacts.state_codec import decode_memory, encode_memory
from nurture.domain.entities import counted_at, entity_of, is_reversed, line_keys, net_amount
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.hints import may_hint_tell
from nurture.domain.journey.advance import advance
from nurture.domain.measure import OnStage
from tests.domain.build import a_measure
from tests.domain.entities.shop import (
    DAY,
    HOUR,
    NOON,
    after,
    changed,
    happened,
    order,
    product,
    shop,
    shuffles,
    state,
)  # fmt: skip

ORDER = shop().entities["order"]
BEANS = product("yirga", 2, 20, category="beans")
KETTLE = product("kettle", 1, 60, category="tools")


@pytest.mark.parametrize(
    "events",
    [
        [order("A"), order("A"), order("A")],
        [order("A", after=HOUR, hint=True), order("A")],
        [order("A"), happened("Order Updated", HOUR, order_id="A", revenue=100), order("A", after=DAY)],
        [order("A"), order("A", after=DAY, revenue="100.00")],
        [order(17), order("17", after=HOUR)],
    ],
    ids=["message ids", "browser and server", "updated and reloaded", "as text", "number and text"],
)
def test_one_order_told_often_is_one_order(events: list[Event]) -> None:
    contact = after(*events)
    assert (contact.facts["orders"], contact.facts["spent"], contact.facts["order.ever"]) == (1, 10000, 1)
    assert contact.stage == "excite"
    assert contact.memory.milestones["first_order"].keys == [""]
    assert contact.memory.milestones["second_order"].keys == []


def test_lines_of_an_export_are_one_order_with_three_lines() -> None:
    rows = [
        happened(
            "Order Completed",
            order_id="A",
            product_id="yirga",
            quantity=2,
            price=20,
            category="beans",
            revenue=130,
        ),
        happened(
            "Order Completed", order_id="A", product_id="kettle", quantity=1, price=60, category="tools"
        ),
        happened(
            "Order Completed", order_id="A", product_id="filter", quantity=3, price=10, category="filters"
        ),
    ]
    contact = after(*rows)
    assert contact.facts["orders"] == 1
    assert contact.facts["spent"] == 13000
    assert contact.facts["bought"] == ["filter", "kettle", "yirga"]
    assert contact.facts["beans"] == 2


def test_an_order_without_an_amount_is_worth_its_lines() -> None:
    contact = after(happened("Order Completed", order_id="A", products=[BEANS, KETTLE]))
    assert contact.facts["spent"] == 10000


def test_an_order_of_unknown_amount_counts_and_adds_nothing() -> None:
    contact = after(happened("Order Completed", order_id="A", products=[{"product_id": "x"}]))
    assert (contact.facts["orders"], contact.facts["spent"]) == (1, 0)


def test_browser_server_and_file_tell_one_order_and_the_page_counts_least() -> None:
    page = order("A", 90, HOUR, hint=True, products=[BEANS, product("mug", 1, 50)])
    server = order("A", 100, products=[BEANS, KETTLE])
    row = happened("Order Completed", order_id="A", product_id="kettle", price=60, category="tools")
    for events in ([page, server, row], [row, server, page], [server, page, row]):
        contact = after(*events)
        assert (contact.facts["orders"], contact.facts["spent"]) == (1, 10000)
        assert contact.facts["bought"] == ["kettle", "yirga"]


def test_the_word_of_a_page_counts_until_a_server_speaks() -> None:
    contact = after(order("A", 90, hint=True, products=[product("mug", 1, 50)]))
    assert (contact.track, contact.facts["spent"], contact.facts["bought"]) == ("customer", 9000, ["mug"])


def test_an_updated_order_has_the_newer_list() -> None:
    first, second = (
        order("A", 100, products=[BEANS, KETTLE]),
        happened("Order Updated", HOUR, order_id="A", revenue=40, products=[BEANS]),
    )
    for events in ([first, second], [second, first]):
        contact = after(*events)
        assert (contact.facts["spent"], contact.facts["bought"]) == (4000, ["yirga"])


def test_an_update_alone_does_not_count() -> None:
    contact = after(happened("Order Updated", order_id="A", revenue=100))
    assert (contact.facts["orders"], contact.track) == (0, "lead")


# ---- reversal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reversal",
    [
        happened("Order Cancelled", DAY, order_id="B"),
        happened("Order Refunded", DAY, order_id="B", total=50),
        happened(
            "Order Refunded", DAY, order_id="B", total=50, currency="EUR", products=[product("mug", 1, 50)]
        ),
        happened("Order Refunded", DAY, order_id="B"),
        happened("Order Refunded", DAY, order_id="B", full=True, total=1),
        happened("Order Refunded", DAY, order_id="B", products=[product("mug", 1, 50)]),
        happened("Order Refunded", DAY, order_id="B", total="-50.00"),
    ],
    ids=["cancelled", "total", "segment", "bare", "full", "products", "negative"],
)
def test_a_reversed_order_counts_nowhere(reversal: Event) -> None:
    events = [order("A"), order("B", 50, HOUR, products=[product("mug", 1, 50)]), reversal]
    for arrival in (events, [reversal, *events[:2]]):
        contact = after(*arrival)
        assert (contact.facts["orders"], contact.facts["spent"], contact.stage) == (1, 10000, "excite")
        assert "mug" not in contact.facts["bought"]
        assert contact.facts["last_order_at"] == NOON
        entity = entity_of(contact, "order", "B")
        assert entity is not None
        assert is_reversed(entity)
        assert net_amount(entity, ORDER, shop()) == 0


@pytest.mark.parametrize(
    ("words", "stands"),
    [
        ([("Restored", 2)], True),
        ([("Restored", 0)], False),
        ([("Restored", 1)], False),
        ([("Restored", 2), ("Cancelled", 3)], False),
        ([("Restored", 2), ("Cancelled", 3), ("Restored", 4)], True),
    ],
    ids=["restored", "restored before", "at once", "cancelled again", "restored again"],
)
def test_a_cancelled_order_that_is_restored_stands_again(words: list[tuple[str, int]], stands: bool) -> None:
    words_after = [("Cancelled", 1), *words]
    reversals = [happened(f"Order {word}", at * DAY, order_id="A") for word, at in words_after]
    for arrival in ([order("A"), *reversals], [*reversals[::-1], order("A")]):
        contact = after(*arrival)
        assert (contact.facts["orders"], contact.facts["spent"]) == ((1, 10000) if stands else (0, 0))
        assert contact.track == ("customer" if stands else "lead")
    assert after(happened("Order Restored", DAY, order_id="A")).facts["orders"] == 0


def test_of_two_cancellations_after_a_restoration_the_earlier_one_reverses() -> None:
    words = [("Cancelled", 1), ("Restored", 2), ("Cancelled", 3), ("Cancelled", 4), ("Cancelled", 5)]
    history = [happened(f"Order {word}", at * DAY, order_id="A") for word, at in words]
    for arrival in shuffles([order("A"), *history], 6):
        contact = after(*arrival)
        assert contact.memory.entities["order"]["A"].reversed_at == NOON + 3 * DAY
    late = after(order("A"), *history, happened("Order Restored", 3 * DAY + HOUR, order_id="A"))
    assert late.memory.entities["order"]["A"].reversed_at == NOON + 4 * DAY


def test_an_order_is_restored_before_and_after_it_is_dropped() -> None:
    cancelled, restored = (happened(f"Order {word}", DAY, order_id="A") for word in ("Cancelled", "Restored"))
    restored = replace(restored, occurred_at=NOON + 2 * DAY)
    many = [order(f"n{number}", after=3 * DAY + number) for number in range(25)]
    assert after(order("A"), cancelled, *many, restored).facts["orders"] == 26
    assert after(order("A"), cancelled, restored, *many).facts["orders"] == 26


def test_ninety_of_a_hundred_refunded_leaves_ten() -> None:
    contact = after(order("A"), happened("Order Refunded", DAY, order_id="A", total=90, refund_id="r1"))
    assert (contact.facts["orders"], contact.facts["spent"], contact.facts["largest"]) == (1, 1000, 1000)
    assert contact.track == "customer"


@pytest.mark.parametrize(
    ("refunds", "left"),
    [
        ([(40, "r1"), (40, "r1")], 6000),
        ([(40, "r1"), (40, "r2")], 2000),
        ([(40, None), (40, None)], 2000),
        ([(40, "r1"), (60, "r2")], 0),
        ([(70, "r1"), (70, "r2")], 0),
    ],
    ids=["told twice", "two", "without keys", "all of it", "more than all"],
)
def test_refunds_are_counted_by_their_key_up_to_the_amount(
    refunds: list[tuple[int, str | None]], left: int
) -> None:
    events = [
        happened("Order Refunded", DAY + n, order_id="A", total=total, refund_id=key)
        for n, (total, key) in enumerate(refunds)
    ]
    for arrival in ([order("A"), *events], [*events, order("A")]):
        contact = after(*arrival)
        assert contact.facts["spent"] == left
        assert contact.track == ("customer" if left else "lead")


def test_goods_sent_back_leave_the_lines() -> None:
    refund = happened("Order Refunded", DAY, order_id="A", total=20, products=[product("yirga", 1, 20)])
    contact = after(order("A", products=[BEANS, KETTLE]), refund)
    assert (contact.facts["beans"], contact.facts["beans_spent"], contact.facts["spent"]) == (1, 2000, 8000)
    more = happened("Order Refunded", 2 * DAY, order_id="A", total=20, products=[product("yirga", 1, 20)])
    assert after(order("A", products=[BEANS, KETTLE]), refund, more).facts["bought"] == ["kettle"]


@pytest.mark.parametrize(
    ("bought", "sent_back"),
    [
        ({"sku": "Y-1"}, {"product_id": "yirga", "sku": "Y-1"}),
        ({"product_id": "yirga", "sku": "Y-1"}, {"sku": "Y-1"}),
        ({"product_id": "Y-1"}, {"product_id": "yirga", "sku": "Y-1"}),
    ],
    ids=["order by sku", "refund by sku", "sku as key"],
)
def test_a_refund_finds_the_line_by_the_sku(bought: dict[str, str], sent_back: dict[str, str]) -> None:
    goods = {"price": 20, "category": "beans"}
    events = [
        order("A", products=[{**goods, **bought, "quantity": 2}, KETTLE]),
        happened(
            "Order Refunded", DAY, order_id="A", refund_id=1, total=20, products=[{**goods, **sent_back}]
        ),
        happened("Order Refunded", DAY + 1, order_id="A", refund_id=2, products=[sent_back]),
    ]
    for number, left in ((2, 1), (3, 0)):
        for arrival in permutations(events[:number]):
            contact = after(*arrival)
            assert contact.facts.get("beans", 0) == left
            assert contact.facts["spent"] == 10000 - 2000 * (number - 1)


def test_a_price_given_back_leaves_the_goods() -> None:
    refund = happened("Order Refunded", DAY, order_id="A", total=10, products=[BEANS, KETTLE])
    contact = after(order("A", products=[BEANS, KETTLE]), refund)
    assert (contact.facts["bought"], contact.facts["spent"]) == (["kettle", "yirga"], 9000)


def test_products_without_prices_are_refunded_at_the_order_s_own() -> None:
    refund = happened("Order Refunded", DAY, order_id="A", products=[{"product_id": "yirga", "quantity": 1}])
    contact = after(order("A", products=[BEANS, KETTLE]), refund)
    assert (contact.facts["spent"], contact.facts["beans"]) == (8000, 1)


def test_the_reversal_of_the_only_order_takes_track_and_stage_back() -> None:
    contact = after(order("A", 600), happened("Order Refunded", DAY, order_id="A", total=600))
    assert (contact.track, contact.stage) == ("lead", "aware")
    assert contact.memory.holds["after_return"]["A"].start == NOON + DAY


def test_a_stage_goes_down_with_its_evidence_and_says_so() -> None:
    contact = after(order("A"), order("B", 50, HOUR), happened("Order Cancelled", DAY, order_id="A"))
    assert (contact.track, contact.stage) == ("customer", "excite")
    assert contact.facts["first_order_at"] == NOON + HOUR


def test_a_milestone_is_celebrated_once_though_the_count_falls_and_rises() -> None:
    events = [
        order("A"),
        order("B", after=HOUR),
        happened("Order Cancelled", 2 * HOUR, order_id="B"),
        order("C", after=DAY),
    ]
    milestones = after(*events).memory.milestones
    assert milestones["second_order"].keys == [""]
    assert milestones["first_order"].keys == [""]
    assert milestones["bought"].keys == ["A", "B", "C"]


def test_an_order_that_was_reversed_before_it_came_is_no_milestone() -> None:
    contact = after(happened("Order Cancelled", DAY, order_id="A"), order("A"))
    assert contact.memory.milestones["first_order"].keys == []
    assert contact.memory.milestones["bought"].keys == []
    assert contact.track == "lead"


def test_a_revoked_contract_is_no_sign_and_no_conversion() -> None:
    signed, revoked = (
        happened("Contract Signed", contract_id="c1"),
        happened("Contract Revoked", DAY, contract_id="c1"),
    )
    assert (after(signed).facts["satisfied"], after(signed).track) == ("yes", "customer")
    for arrival in ([signed, revoked], [revoked, signed]):
        contact = after(*arrival)
        assert (contact.facts["satisfied"], contact.track) == ("unknown", "lead")


def test_conditions_choose_entities_by_their_fields() -> None:
    events = [order("A", channel="shop"), order("B", channel="web"), order("C", channel="shop", after=HOUR)]
    assert after(*events).facts["shop_orders"] == 2
    moved = happened("Order Updated", DAY, order_id="B", channel="shop")
    assert after(*events, moved).facts["shop_orders"] == 3


def test_folds_over_orders_are_dated_by_the_order() -> None:
    events = [order(key, after=n * DAY) for n, key in enumerate("ABC")]
    contact = after(*events, happened("Order Updated", 90 * DAY, order_id="A"))
    assert contact.facts["loyal"] is True
    assert contact.facts["recent_orders"] == [NOON, NOON + DAY, NOON + 2 * DAY]
    assert contact.facts["last_order_at"] == NOON + 2 * DAY


def test_the_newest_line_gives_the_latest_value() -> None:
    contact = after(order("A", products=[KETTLE], after=DAY), order("B", products=[BEANS]))
    assert contact.facts["last_category"] == "tools"


# ---- values at their limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"products": "kettle"},
        {"products": [None, 3, {"product_id": None}, {"product_id": True}, {}]},
        {"products": [{"product_id": "x", "quantity": "many", "price": "1.5e999990"}]},
        {"revenue": "1e999999999"},
        {"revenue": [1], "products": {"product_id": "x"}},
        {"currency": 7},
    ],
)
def test_a_wrong_value_is_unknown(given: dict[str, Any]) -> None:
    contact = after(happened("Order Completed", order_id="A", **given))
    assert contact.facts["orders"] == 1
    assert (
        after(happened("Order Refunded", order_id="A", total=given.get("revenue"), **given)).facts["orders"]
        == 0
    )


def test_an_order_keeps_fifty_lines() -> None:
    contact = after(order("A", products=[product(f"p{n:03}") for n in range(80)]))
    entity = entity_of(contact, "order", "A")
    assert entity is not None
    assert len(line_keys(entity)) == 50
    assert counted_at(entity) == NOON


@pytest.mark.parametrize("key", [None, "", " ", True, 1.5, ["A"]])
def test_an_order_without_a_key_counts_once_for_its_message(key: object) -> None:
    first, again = (happened("Order Completed", id="m-1", order_id=key, revenue=10) for _ in range(2))
    contact = after(first, again)
    assert (contact.facts["orders"], contact.facts["spent"], contact.track) == (1, 1000, "customer")
    assert after(first, happened("Order Updated", order_id=key, revenue=70)).facts["spent"] == 1000
    assert state(after(happened("Product Added", cart_id=key)))["entities"] == {}


@pytest.mark.parametrize("keys", [("1001", 1001), (1001, 1001.0), (" A ", "A")])
def test_one_key_written_in_two_ways_is_one(keys: tuple[Any, Any]) -> None:
    assert after(*(order(key) for key in keys)).facts["orders"] == 1


# ---- what follows from a reversal ------------------------------------------------------------------------


def test_a_browser_key_may_tell_an_order_and_no_reversal_of_one() -> None:
    assert may_hint_tell("Order Completed", shop())
    assert not may_hint_tell("Order Cancelled", shop())
    assert not may_hint_tell("Order Restored", shop())
    assert not may_hint_tell("Contract Revoked", shop())
    assert not may_hint_tell("Case Closed", shop())


def test_a_stage_that_a_reversal_lowers_starts_nothing() -> None:
    measures = [
        a_measure("customer/any/new", trigger=OnStage("excite")),
        a_measure("lead/any/seen", trigger=OnStage("aware")),
    ]
    playbook = replace(shop(), measures={measure.path: measure for measure in measures})
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    cancelled = [happened("Order Cancelled", DAY + n, order_id=key) for n, key in enumerate("AB")]
    events = [order("A"), order("B", after=HOUR), *cancelled]
    result = advance(contact, events, now=NOON + 2 * DAY, playbook=playbook)
    moves = [
        (move.before, move.after, move.is_forward) for move in result.transitions if move.kind == "stage"
    ]
    assert moves == [
        ("aware", "excite", True),
        ("excite", "ascend", True),
        ("ascend", "excite", False),
        ("excite", "aware", False),
    ]
    assert [message.measure for message in result.messages] == ["customer/any/new"]


def test_the_stored_state_is_read_back_as_it_was() -> None:
    events = [
        order("A", products=[BEANS, KETTLE], hint=True),
        happened("Order Updated", HOUR, order_id="A", products=[BEANS], revenue=40, currency="EUR"),
        happened("Order Refunded", DAY, order_id="A", total=10, refund_id="r", products=[BEANS]),
        *(order(f"o{n}", after=n) for n in range(25)),
        happened("Order Shipped", order_id="A"),
        happened("Order Delivered", DAY, order_id="A"),
    ]
    memory = after(*events).memory
    text = encode_memory(memory, {})
    assert decode_memory(text) == (memory, {})
    later = json.loads(text)
    (key, *_) = later["buried"]["order"]
    later["buried"]["order"][key]["weight"] = 3
    later["entities"]["order"]["o24"]["worth"]["tax"] = 4
    known, unknown = decode_memory(json.dumps(later))
    assert json.loads(encode_memory(known, unknown)) == later


# ---- goods under other names -----------------------------------------------------------------------------


def row(key: str, quantity: int = 1, **given: Any) -> dict[str, Any]:
    return {"product_id": key, "quantity": quantity, **given}


@pytest.mark.parametrize(
    ("lists", "bought"),
    [
        ([[row("70001", 2, sku="ES-1")], [row("ES-1", 2, sku="ES-1")]], ["70001"]),
        ([[row("70001", 2, sku="ES-1")], [row("ES-1", 2)]], ["70001"]),
        ([[row("70001", 2, name="Espresso")], [row("Espresso", 2, name="Espresso")]], ["70001"]),
        (
            [[row("70001", sku="S"), row("70001", sku="M")], [row("S", sku="S"), row("M", sku="M")]],
            ["70001"],
        ),
        ([[row("70001", sku="S"), row("S", 2, sku="S")]], ["70001", "S"]),
        ([[row("70001", sku="S")], [row("S", sku="other")]], ["70001", "S"]),
        ([[row("70001", sku="S")], [row("70002", sku="S")]], ["70001", "70002"]),
        ([[row("70001", name="Espresso")], [row("70002", name="Espresso")]], ["70001", "70002"]),
        ([[row("ES-1", 2, sku="ES-1")]], ["ES-1"]),
    ],
    ids=["sku", "sku as key", "name", "variants", "one list", "other sku", "ids", "equal names", "alone"],
)
def test_a_source_without_the_products_keys_tells_the_same_goods(
    lists: list[list[dict[str, Any]]], bought: list[str]
) -> None:
    events = [order("A", 100, n * HOUR, products=rows) for n, rows in enumerate(lists)]
    for arrival in (events, events[::-1], [*events, *events]):
        assert after(*arrival).facts["bought"] == bought


def test_goods_bought_under_their_sku_leave_the_cart() -> None:
    playbook = changed(
        "closed_by: {Order Completed: key, Cart Emptied: key}", "closed_by: {Cart Emptied: key}"
    )
    added = happened("Product Added", cart_id="c", product_id="70001", sku="ES-1")
    for sold, left in ((row("ES-1", sku="ES-1"), 0), (row("70001", sku="ES-1"), 0), (row("ES-2"), 1)):
        contact = after(added, order("A", 100, HOUR, products=[sold]), playbook=playbook)
        assert contact.facts["cart.open"] == left
