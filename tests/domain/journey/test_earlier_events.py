"""A parcel that a shop tells before its order is announced once the order has made a customer."""

from typing import Any

from nurture.domain.contact import Advance
from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.measure import Measure, Once, OnEvent
from nurture.domain.playbook import Conversion, EntityKind, EntityMatch
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, on

ORDER = EntityKind(
    "order", ("order_id",), (on("Order Completed"), on("Order Paid")), (on("Order Completed"),)
)
PARCEL = EntityKind(
    "parcel",
    ("parcel_id",),
    (on("Order Shipped"), on("Order Delivered")),
    closed_by={"Order Delivered": "key"},
    within="order",
    parent_keys=("order_id",),
)


def announced(*events: Event, **changes: Any) -> Advance:
    """Return what follows from the events in a programme that announces parcels to customers."""
    given: dict[str, Any] = {
        "trigger": OnEvent(("Order Shipped",)),
        "entity": "parcel",
        "once": Once("entity"),
        "while_open": True,
    }
    measure: Measure = a_measure("customer/any/shipped", **(given | changes))
    conversion = Conversion((), "", over=(EntityMatch("order"),))
    playbook = a_playbook(measure, entities={"order": ORDER, "parcel": PARCEL}, conversion=conversion)
    now = max(event.received_at for event in events)
    return advance(a_contact(playbook), events, now=now, playbook=playbook)


def shipped(at: int = NOON, **properties: Any) -> Event:
    return an_event("Order Shipped", at, order_id="A", **({"parcel_id": "p1", "url": "x"} | properties))


def ordered(at: int = NOON + HOUR) -> Event:
    return an_event("Order Completed", at, order_id="A")


def keys(result: Advance) -> list[str]:
    return [mail.run_key for mail in result.messages]


def test_a_parcel_told_before_its_order_is_announced_with_its_own_values() -> None:
    result = announced(shipped(), shipped(NOON + 1, parcel_id="p2"), ordered())
    assert keys(result) == ["p1", "p2"]
    (run, _) = result.runs.values()
    assert (run.entity_key, run.origin.event, run.origin.occurred_at) == ("p1", "Order Shipped", NOON)
    assert run.origin.properties == {"order_id": "A", "parcel_id": "p1", "url": "x"}


def test_a_parcel_that_names_its_order_alone_is_announced_under_the_order() -> None:
    assert keys(announced(an_event("Order Shipped", NOON, order_id="A"), ordered())) == ["A"]


def test_events_of_the_order_itself_start_too() -> None:
    paid = an_event("Order Paid", NOON, order_id="A")
    measure = {"trigger": OnEvent(("Order Paid", "Order Completed")), "entity": "order", "while_open": False}
    assert keys(announced(paid, ordered(), **measure)) == ["A"]
    assert keys(announced(paid, ordered(), **(measure | {"trigger": OnEvent(("Order Paid",))}))) == ["A"]


def test_a_measure_about_the_order_or_about_none_starts_by_the_parcel_too() -> None:
    about_order = announced(shipped(), shipped(NOON + 1, parcel_id="p2"), ordered(), entity="order")
    assert [(run.entity, run.entity_key) for run in about_order.runs.values()] == [("order", "A")]
    about_none = announced(shipped(), ordered(), entity=None, once=Once("parcel_id"), while_open=False)
    assert keys(about_none) == ["p1"]


def test_parcels_of_other_orders_and_those_that_have_arrived_are_not_announced() -> None:
    other = an_event("Order Shipped", NOON, order_id="B", parcel_id="p9")
    arrived = an_event("Order Delivered", NOON + 2, order_id="A", parcel_id="p1")
    assert keys(announced(other, shipped(), arrived, ordered())) == []


def test_a_parcel_is_announced_once_and_not_after_the_horizon() -> None:
    again = an_event("Order Completed", NOON + 2 * HOUR, order_id="B")
    assert keys(announced(shipped(), ordered(), again, shipped(NOON + 3 * HOUR))) == ["p1"]
    late = announced(shipped(), ordered(NOON + 5 * DAY))
    assert [entry.reason for entry in late.non_entries] == ["too_old"]


def test_of_each_event_only_the_event_itself_can_say_whether_it_was_there() -> None:
    assert keys(announced(shipped(), ordered(), once=Once("event"))) == []
