"""Mail about a thing: the guard asks once more whether the thing still stands."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.conditions import Reading
from nurture.domain.contact import RunOrigin
from nurture.domain.event import Event
from nurture.domain.guard.decide import decide
from nurture.domain.measure import Exit
from nurture.domain.message import Verdict
from tests.delivery.builders import a_due, a_guard_input, a_run
from tests.domain.build import a_measure, when
from tests.domain.entities.shop import DAY, HOUR, NOON, after, happened, order, product, shop
from tests.domain.entities.test_carts import added, removed, viewed

PATH = "any/note"


def verdict_on(entity: str, key: str, *events: Event, while_open: bool = False, event: str = "") -> Verdict:
    """Return the verdict on a service mail about an entity, for a contact with this history."""
    measure = a_measure(PATH, entity=entity or None, while_open=while_open)
    playbook = replace(shop(), measures={PATH: measure})
    run = a_run(PATH, entity=entity, entity_key=key, step="mail", decided=["mail"], origin=RunOrigin(event))
    now = NOON + 2 * DAY
    message: dict[str, Any] = {"step": "mail", "track": "any", "purpose": "service", "topic": None}
    due = a_due(measure=PATH, due_at=now, valid_until=now + DAY, **message)
    contact = after(*(events or [happened("Page Viewed")]))
    return decide(a_guard_input(message=due, run=run, contact=contact), now=now, playbook=playbook)


@pytest.mark.parametrize(("plan", "outcome"), [("gold", ("cancel", "calm")), ("silver", ("send", ""))])
def test_a_condition_that_ends_runs_cancels_the_last_mail_of_a_run_that_is_done(
    plan: str, outcome: tuple[str, str]
) -> None:
    measure = a_measure(PATH, exits=(Exit(None, reason="calm", when=when("plan == 'gold'")),))
    playbook = replace(shop(), measures={PATH: measure})
    now = NOON + 2 * DAY
    message: dict[str, Any] = {"step": "mail", "track": "any", "purpose": "service", "topic": None}
    contact = after(happened("Page Viewed"))
    guard_input = a_guard_input(
        message=a_due(measure=PATH, due_at=now, valid_until=now + DAY, **message),
        run=a_run(PATH, step="mail", status="done", decided=["mail"]),
        contact=contact,
        reading=Reading({"plan": plan}, now, "UTC"),
    )
    verdict = decide(guard_input, now=now, playbook=playbook)
    assert (verdict.action, verdict.reason) == outcome


CANCELLED = happened("Order Cancelled", HOUR, order_id="A")


@pytest.mark.parametrize(
    ("key", "events", "reason"),
    [
        pytest.param("c1", [added("kettle")], "", id="goods in it"),
        pytest.param("c1", [added("kettle"), removed("kettle", HOUR)], "entity_closed", id="taken out again"),
        pytest.param("c1", [viewed(0)], "entity_closed", id="only viewed"),
        pytest.param(
            "c1",
            [added("kettle"), order("A", after=HOUR, cart_id="other", products=[product("kettle")])],
            "entity_closed",
            id="bought from another cart",
        ),
        pytest.param(
            "c1",
            [added("kettle"), order("A", after=HOUR, cart_id="c1"), viewed(2 * HOUR)],
            "entity_closed",
            id="viewed again on the thank-you page",
        ),
        pytest.param(
            "c1",
            [
                added("kettle"),
                order("A", after=HOUR, cart_id="c1"),
                *(order(f"B{n}", after=n * HOUR) for n in range(2, 30)),
                *(added("tea", n * HOUR, cart=f"d{n}") for n in range(2, 30)),
                viewed(31 * HOUR),
            ],
            "entity_closed",
            id="bought so long ago that only its key is kept",
        ),
        pytest.param(
            "c1", [added("kettle"), added("tea", 1), removed("tea", HOUR)], "", id="something is left in it"
        ),
        pytest.param("c9", [added("kettle")], "entity_closed", id="never seen"),
    ],
)
def test_a_cart_must_be_open(key: str, events: list[Event], reason: str) -> None:
    verdict = verdict_on("cart", key, *events, while_open=True)
    assert verdict.reason == reason
    assert verdict.action == ("cancel" if reason else "send")
    any_state = verdict_on("cart", key, *events)
    assert any_state.action == "send"


@pytest.mark.parametrize("while_open", [False, True])
@pytest.mark.parametrize(
    ("entity", "key", "events", "event", "reason"),
    [
        pytest.param("order", "A", [order("A")], "Order Completed", "", id="an order"),
        pytest.param(
            "order", "A", [order("A"), CANCELLED], "Order Completed", "entity_reversed", id="cancelled"
        ),
        pytest.param(
            "order",
            "A",
            [order("A", 100), happened("Order Refunded", HOUR, order_id="A", total=100, refund_id="r")],
            "Order Completed",
            "entity_reversed",
            id="wholly refunded",
        ),
        pytest.param(
            "order",
            "A",
            [order("A", 100), happened("Order Refunded", HOUR, order_id="A", total=90, refund_id="r")],
            "Order Completed",
            "",
            id="partly refunded",
        ),
        pytest.param(
            "shipment",
            "S",
            [order("A"), happened("Order Shipped", 1, order_id="A", shipment_id="S"), CANCELLED],
            "Order Shipped",
            "entity_reversed",
            id="a parcel of a cancelled order",
        ),
        pytest.param(
            "order", "B", [order("A"), CANCELLED, order("B")], "Order Completed", "", id="another one"
        ),
        pytest.param(
            "order", "A", [CANCELLED, order("A")], "Order Completed", "entity_reversed", id="cancelled before"
        ),
        pytest.param("", "", [order("A"), CANCELLED], "Order Completed", "", id="about nothing"),
    ],
)
def test_nothing_leaves_about_what_was_reversed(
    *, entity: str, key: str, events: list[Event], event: str, reason: str, while_open: bool
) -> None:
    verdict = verdict_on(entity, key, *events, while_open=while_open, event=event)
    assert (verdict.action, verdict.reason) == ("cancel" if reason else "send", reason)


def test_the_mail_that_confirms_the_reversal_leaves() -> None:
    verdict = verdict_on("order", "A", order("A"), CANCELLED, event="Order Cancelled")
    assert verdict.action == "send"


def test_a_delivered_parcel_is_closed() -> None:
    events = [
        order("A"),
        happened("Order Shipped", 1, order_id="A", shipment_id="S"),
        happened("Order Delivered", HOUR, order_id="A", shipment_id="S"),
    ]
    assert verdict_on("shipment", "S", *events, while_open=True).reason == "entity_closed"
    assert verdict_on("shipment", "S", *events).action == "send"
