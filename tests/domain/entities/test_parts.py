"""Parcels of an order: each by its own key, all of them by the order's, and none of a reversed order."""

from nurture.domain.contact import Contact
from nurture.domain.entities import entity_key, entity_of, is_closed, is_open, is_outdated, is_reversed
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from tests.domain.entities.shop import DAY, HOUR, NOON, after, happened, order, shop, shuffles

SHIPMENT = shop().entities["shipment"]


def shipped(parcel: str | None, at: Instant = 0, key: str = "A") -> Event:
    return happened("Order Shipped", at, order_id=key, shipment_id=parcel)


def delivered(parcel: str | None, at: Instant, key: str = "A") -> Event:
    return happened("Order Delivered", at, order_id=key, shipment_id=parcel)


def open_parcels(contact: Contact) -> set[str]:
    return {
        key
        for key, entity in contact.memory.entities.get("shipment", {}).items()
        if is_open(entity, SHIPMENT)
    }


def test_each_parcel_of_an_order_is_one() -> None:
    contact = after(order("A"), shipped("s1"), shipped("s2", HOUR), shipped("s1", DAY))
    assert open_parcels(contact) == {"s1", "s2"}
    assert contact.facts["shipment.ever"] == 2


def test_a_tracking_number_is_a_key_too() -> None:
    event = happened("Order Shipped", order_id="A", tracking_number="T1")
    assert entity_key(event, SHIPMENT) == "T1"
    assert open_parcels(after(event)) == {"T1"}


def test_a_delivered_parcel_is_closed_and_the_other_is_not() -> None:
    events = [shipped("s1"), shipped("s2", HOUR), delivered("s1", DAY)]
    for arrival in (events, *shuffles(events)):
        assert open_parcels(after(*arrival)) == {"s2"}


def test_a_delivery_of_the_order_closes_all_its_parcels() -> None:
    events = [shipped("s1"), shipped("s2", HOUR), shipped("s3", key="B"), delivered(None, DAY)]
    for arrival in (events, *shuffles(events)):
        assert open_parcels(after(*arrival)) == {"s3"}


def test_a_parcel_without_a_key_is_known_by_its_order_until_one_with_a_key_comes() -> None:
    assert open_parcels(after(shipped(None))) == {"A"}
    events = [shipped(None), shipped("s1", HOUR)]
    for arrival in (events, *shuffles(events, 2)):
        contact = after(*arrival)
        assert open_parcels(contact) == {"s1"}
        assert contact.facts["shipment.ever"] == 1
        assert entity_of(contact, "shipment", "A") is contact.memory.entities["shipment"]["s1"]


def test_a_reversed_order_reverses_its_parcels() -> None:
    events = [
        order("A"),
        shipped("s1"),
        shipped("s2", HOUR, "B"),
        happened("Order Cancelled", DAY, order_id="A"),
    ]
    for arrival in (events, *shuffles(events)):
        contact = after(*arrival)
        assert open_parcels(contact) == {"s2"}
        entity = entity_of(contact, "shipment", "s1")
        assert entity is not None
        assert is_reversed(entity)
        assert not is_closed(entity)
        assert contact.facts["shipment.ever"] == 1


def test_a_parcel_of_an_order_refunded_in_parts_is_reversed_with_the_last_part() -> None:
    parts = [happened("Order Refunded", DAY * n, order_id="A", total=50, refund_id=n) for n in (1, 2)]
    assert open_parcels(after(order("A"), shipped("s1"), parts[0])) == {"s1"}
    contact = after(order("A"), shipped("s1"), *parts)
    entity = entity_of(contact, "shipment", "s1")
    assert entity is not None
    assert entity.reversed_at == NOON + 2 * DAY


def test_an_older_event_of_the_same_name_is_outdated() -> None:
    old, new = shipped("s1"), shipped("s1", HOUR)
    assert is_outdated(after(new, old), old, SHIPMENT)
    assert not is_outdated(after(old, new), new, SHIPMENT)
    assert not is_outdated(after(old), delivered("s1", -HOUR), SHIPMENT)
    assert is_outdated(after(old, delivered("s1", DAY)), delivered("s1", HOUR), SHIPMENT)
