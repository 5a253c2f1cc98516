"""A history whose events were removed keeps what it was worth when facts are defined over entities."""

import msgspec

from nurture.contacts.state_codec import decode_memory, encode_memory
from nurture.domain.contact import Contact
from nurture.domain.playbook import Playbook
from nurture.journey.replay import replay_events
from tests.domain.entities.shop import DAY, HOUR, NOON, SHOP, changed, happened, order, shop

#: The same programme before entities: it counts messages.
BEFORE = shop(
    SHOP[: SHOP.index("entities:")]
    + """\
conversion: {by: [Order Completed, Contract Signed], key: order_id, reversed_by: Order Cancelled, hold: after_return}
facts:
  orders: {count: Order Completed}
  spent: {sum: revenue, of: Order Completed}
  largest: {max: revenue, of: Order Completed}
  first_order_at: {first: Order Completed}
  last_order_at: {last: Order Completed}
  bought: {set: product_id, of: Product Added, keep: 60}
  order: {entity: order_id, of: [Order Completed, Order Updated]}
  case: {entity: case_id, of: Case Opened, closed_by: {Case Closed: key}}
"""
    + SHOP[SHOP.index("stages:") : SHOP.index("milestones:")].replace("spent >= 500", "orders >= 9")
    + """\
milestones:
  second_order: {of: Order Completed, nth: 2}
  third_order: {of: Order Completed, nth: 3}
"""
    + SHOP[SHOP.index("holds:") :]
)

EVENTS = [
    order("A", 100),
    order("B", 50, DAY),
    happened("Product Added", HOUR, cart_id="c", product_id="mug"),
    happened("Case Opened", HOUR, case_id="k"),
]


def folded(playbook: Playbook) -> Contact:
    """Return the baseline, as the version before has stored it."""
    baseline = replay_events(1, EVENTS, playbook)
    memory, _ = decode_memory(encode_memory(baseline.memory, {}))
    for entities in memory.entities.values():
        for key, entity in entities.items():
            entities[key] = msgspec.structs.replace(entity, counted_at=None, worth=None, newest={})
    memory.net, memory.buried = {}, {}
    baseline.memory = memory
    return baseline


def test_facts_keep_their_value_and_go_on() -> None:
    contact = replay_events(1, [order("C", 10, 9 * DAY)], shop(), [folded(BEFORE)])
    assert (contact.facts["orders"], contact.facts["spent"], contact.facts["largest"]) == (3, 16000, 10000)
    assert contact.facts["first_order_at"] == NOON
    assert contact.facts["last_order_at"] == NOON + 9 * DAY
    assert contact.facts["bought"] == ["mug"]
    assert contact.facts["case.ever"] == 1
    assert (contact.track, contact.stage) == ("customer", "ascend")


def test_milestones_go_on_counting_and_none_is_celebrated_again() -> None:
    playbook = changed("second_order: {of: order, nth: 2}", "third_order: {of: order, nth: 3}")
    contact = replay_events(1, [order("C", 10, 9 * DAY)], playbook, [folded(BEFORE)])
    assert contact.memory.milestones["third_order"].keys == [""]
    again = replay_events(1, [order("C", 10, 9 * DAY)], shop(), [folded(BEFORE)])
    assert again.memory.milestones["second_order"].keys == [""]


def test_a_history_without_later_events_is_carried_over_too() -> None:
    contact = replay_events(1, [], shop(), [folded(BEFORE)])
    assert (contact.facts["orders"], contact.facts["spent"]) == (2, 15000)
    assert (contact.track, contact.stage) == ("customer", "ascend")


def test_an_order_that_is_known_by_its_key_is_told_again_and_reversed_later() -> None:
    events = [order("B", 50, 9 * DAY), happened("Order Cancelled", 10 * DAY, order_id="A")]
    contact = replay_events(1, events, shop(), [folded(BEFORE)])
    assert (contact.facts["orders"], contact.facts["spent"]) == (1, 5000)
    assert contact.track == "customer"
    last = replay_events(
        1, [*events, happened("Order Cancelled", 11 * DAY, order_id="B")], shop(), [folded(BEFORE)]
    )
    assert (last.facts["orders"], last.track) == (0, "lead")


def test_the_same_definitions_carry_nothing() -> None:
    baseline = replay_events(1, EVENTS, shop())
    later = order("C", 10, 9 * DAY)
    contact = replay_events(1, [later], shop(), [baseline])
    whole = replay_events(1, [*EVENTS, later], shop())
    assert contact.facts == whole.facts
    assert contact.memory.entities == whole.memory.entities


def test_people_whose_events_are_there_are_folded_anew() -> None:
    before, now = replay_events(1, EVENTS, BEFORE), replay_events(1, [*EVENTS, order("A", 100, HOUR)], shop())
    assert before.facts["orders"] == now.facts["orders"] == 2
    assert before.memory.definitions != now.memory.definitions
