"""Doubled, re-told and shuffled histories make the same facts, track, stage, sums and entities."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from tests.domain.entities.shop import HOUR, NOON, after, happened, product, shop, shuffles, state

KEYS = st.sampled_from(["A", "B", "C"])
GOODS = st.lists(
    st.builds(
        product,
        st.sampled_from(["yirga", "kettle", "mug"]),
        st.integers(1, 3),
        st.sampled_from([10, 20, None]),
        category=st.sampled_from(["beans", "tools"]),
    ),
    max_size=3,
)


def _event(name: str, **properties: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    given_ = st.fixed_dictionaries({}, optional=properties)
    return st.builds(
        lambda at, hint, values: happened(name, at * HOUR, hint=hint, **values),
        st.integers(0, 200),
        st.booleans() if name == "Order Completed" else st.just(value=False),
        given_,
    )


MONEY = st.sampled_from([0, 10, 25.5, "40.00", 100])
EVENTS = st.lists(
    st.one_of(
        _event("Order Completed", order_id=KEYS, revenue=MONEY, products=GOODS, cart_id=KEYS, channel=st.just("shop")),
        _event("Order Updated", order_id=KEYS, revenue=MONEY, products=GOODS),
        _event("Order Refunded", order_id=KEYS, total=MONEY, refund_id=st.sampled_from(["r1", "r2"]), products=GOODS),
        _event("Order Cancelled", order_id=KEYS),
        _event("Order Restored", order_id=KEYS),
        _event("Order Shipped", order_id=KEYS, shipment_id=st.sampled_from(["s1", "s2"])),
        _event("Order Delivered", order_id=KEYS, shipment_id=st.sampled_from(["s1", "s2"])),
        _event("Product Added", cart_id=KEYS, product_id=st.sampled_from(["yirga", "mug"])),
        _event("Product Removed", cart_id=KEYS, product_id=st.sampled_from(["yirga", "mug"])),
        _event("Cart Viewed", cart_id=KEYS),
        _event("Contract Signed", contract_id=KEYS),
        _event("Contract Revoked", contract_id=KEYS),
        _event("Case Opened", case_id=KEYS),
        _event("Case Closed", case_id=KEYS),
        _event("Survey Answered", score=st.integers(0, 10)),
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip


@settings(deadline=None)
@given(EVENTS)
def test_any_order_of_arrival_makes_the_same_state(events: list[Event]) -> None:
    expected = state(after(*events))
    for arrival in shuffles(events, 4):
        assert state(after(*arrival)) == expected


def _without_messages(events: list[Event]) -> Iterator[Event]:
    """Leave events out that count once for each message: refunds, orders and contracts without a key."""
    keys = {"Order Refunded": "refund_id", "Order Completed": "order_id", "Contract Signed": "contract_id"}
    for event in events:
        if event.name not in keys or keys[event.name] in event.properties:
            yield event


@settings(deadline=None)
@given(EVENTS)
def test_events_that_are_told_again_change_nothing(events: list[Event]) -> None:
    once = [event for event in _without_messages(events) if event.name != "Survey Answered"]
    if not once:
        return
    again = [replace(event, message_id=f"{event.message_id}-again") for event in once]
    expected, doubled = after(*once), after(*once, *again)
    assert doubled.facts == expected.facts
    assert (doubled.track, doubled.stage) == (expected.track, expected.stage)
    assert doubled.memory.net == expected.memory.net


@settings(deadline=None)
@given(EVENTS, st.data())
def test_a_part_combined_with_the_rest_is_the_whole(events: list[Event], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(events)))
    playbook = shop()
    parts = [
        after(*part) if part else empty(1, first_seen_at=NOON, playbook=playbook)
        for part in (events[:place], events[place:])
    ]
    combined, whole = combine_histories(parts[0], parts[1], playbook), after(*events)
    known = {name: value for name, value in combined.facts.items() if name in whole.facts}
    assert known == whole.facts
    assert (combined.track, combined.stage) == (whole.track, whole.stage)
    assert combined.memory.entities == whole.memory.entities


@settings(deadline=None)
@given(EVENTS, st.data())
def test_the_fold_is_one_whatever_the_batches(events: list[Event], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(events)))
    playbook = shop()
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    now = max(event.received_at for event in events)
    for batch in (events[:place], events[place:]):
        contact = advance(contact, batch, now=now, playbook=playbook, mail=False).contact
    assert state(contact) == state(after(*events))
