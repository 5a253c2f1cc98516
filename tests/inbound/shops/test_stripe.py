"""Stripe's refunds, disputes, trials and subscriptions: each told once, in whatever order the calls come."""

import json
from itertools import permutations

import pytest

from nurture.domain.instant import SECOND, to_iso
from nurture.inbound.shops.statement import ShopEvent
from tests.inbound.shops.calls import Sample, sample
from tests.inbound.shops.memory import Memory, named, stripe_body


@pytest.mark.parametrize("order", [(15, 16, 17), (17, 16, 15), (16, 15, 17), (17, 15, 16)])
def test_the_same_money_refunded_under_two_names_counts_once(order: tuple[int, ...]) -> None:
    memory = Memory()
    memory.call(sample("stripe/01"))
    events = [event for number in order for event in memory.call(sample(f"stripe/{number}")).events]
    assert round(sum(event.properties["total"] for event in events), 2) == 33.4
    assert len({event.properties["refund_id"] for event in events}) == len(events)


def test_a_refund_of_an_unknown_payment_waits_for_the_order() -> None:
    memory = Memory()
    assert memory.call(sample("stripe/16")).events == []
    assert named(memory.call(sample("stripe/01")).events) == [
        ("Order Completed", "A-77", 33.4),
        ("Order Refunded", "A-77", 33.4),
    ]


def test_two_refunds_are_added_where_the_charge_is_not_told() -> None:
    memory, call = Memory(), sample("stripe/17")
    memory.call(sample("stripe/01"))
    first = memory.call(call).events
    second = memory.call(call, stripe_body(call, id="re_2", amount=500)).events
    assert [event.properties["total"] for event in (*first, *second)] == [10, 5]
    failed = memory.call(call, stripe_body(call, id="re_3", amount=700, status="failed"))
    assert failed.events == []


def money_back(events: list[ShopEvent]) -> float:
    """Return what went back by the newest word about each refund."""
    newest = {event.properties["refund_id"]: event for event in sorted(events, key=lambda event: event.at)}
    return float(round(sum(event.properties["total"] for event in newest.values()), 2))


def refund_calls(*kinds: str) -> list[tuple[Sample, bytes]]:
    """Return calls about two refunds of 10 and 5, the first of which fails: of these kinds, in their order."""
    charge, refund = sample("stripe/15"), sample("stripe/17")
    at = json.loads(refund.body)["created"]
    first = {"id": "re_1", "amount": 1000, "created": at}
    second = {"id": "re_2", "amount": 500, "created": at + 60}
    calls = {
        "first": (refund, stripe_body(refund, {"id": "evt_1", "created": at}, **first)),
        "first sum": (charge, stripe_body(charge, {"id": "evt_2", "created": at}, amount_refunded=1000)),
        "second": (refund, stripe_body(refund, {"id": "evt_3", "created": at + 60}, **second)),
        "second sum": (
            charge,
            stripe_body(charge, {"id": "evt_4", "created": at + 60}, amount_refunded=1500),
        ),
        "failed": (
            refund,
            stripe_body(
                refund, {"id": "evt_5", "created": at + 90, "type": "refund.failed"}, **first, status="failed"
            ),
        ),
        "sum after": (charge, stripe_body(charge, {"id": "evt_6", "created": at + 120}, amount_refunded=500)),
    }
    return [calls[kind] for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        (["first", "failed"], 0),
        (["first sum", "failed"], 0),
        (["first", "first sum", "failed"], 0),
        (["first sum", "second sum", "failed", "sum after"], 5),
        (["first", "first sum", "second", "failed"], 5),
        (["first", "second", "second sum", "failed"], 5),
    ],
)
def test_a_refund_that_fails_later_is_taken_back_in_any_order(kinds: list[str], left: float) -> None:
    for arrival in permutations(refund_calls(*kinds)):
        memory = Memory()
        memory.call(sample("stripe/01"))
        events = [event for call, body in (*arrival, *arrival) for event in memory.call(call, body).events]
        assert money_back(events) == left


def test_the_sum_of_an_earlier_release_is_taken_back_too() -> None:
    memory = Memory()
    memory.call(sample("stripe/01"))
    (before,) = [
        event for call, body in refund_calls("first sum") for event in memory.call(call, body).events
    ]
    for thing in memory.things.values():
        thing.sums = []
    ((failed, body),) = refund_calls("failed")
    assert money_back([before, *memory.call(failed, body).events]) == 0


def test_a_dispute_takes_the_money_once_it_is_lost() -> None:
    call = sample("stripe/17")
    memory = Memory()
    memory.call(sample("stripe/01"))
    dispute = {"id": "dp_1", "object": "dispute", "amount": 3340}
    words = {"type": "charge.dispute.closed", "id": "evt_d"}
    for status in ("needs_response", "under_review", "warning_closed"):
        assert memory.call(call, stripe_body(call, words, **dispute, status=status)).events == []
    lost = stripe_body(call, words, **dispute, status="lost")
    assert named(memory.call(call, lost).events) == [("Order Refunded", "A-77", 33.4)]
    assert memory.call(call, lost).events == []
    won = {"type": "charge.dispute.funds_reinstated", "id": "evt_w"}
    late = stripe_body(call, won, **dispute, status="won")
    assert named(memory.call(call, late).events) == [("Order Refunded", "A-77", 0)]
    assert Memory().call(call, late).events == []


def test_a_subscription_starts_and_is_cancelled_once_in_any_order() -> None:
    for order in ((6, 7, 8, 9, 10), (10, 9, 8, 7, 6), (8, 10, 7, 6, 9)):
        memory = Memory()
        events = [event for number in order for event in memory.call(sample(f"stripe/{number:02}")).events]
        names = [event.name for event in events if event.name.startswith("Subscription")]
        assert sorted(names) == ["Subscription Cancelled", "Subscription Started"]
        (start,) = [event for event in events if event.name == "Subscription Started"]
        assert to_iso(start.at) == "2026-11-20T09:00:30Z"


def test_a_subscription_may_be_resumed_and_cancelled_again() -> None:
    memory, call = Memory(), sample("stripe/09")
    memory.call(sample("stripe/06"))
    memory.call(call)
    body = json.loads(call.body)
    resumed = {
        **body,
        "id": "evt_r",
        "created": body["created"] + 60,
        "data": {
            "object": {**body["data"]["object"], "cancel_at_period_end": False, "canceled_at": None},
            "previous_attributes": {"cancel_at_period_end": True},
        },
    }
    assert [event.name for event in memory.call(call, json.dumps(resumed).encode()).events] == [
        "Subscription Changed"
    ]
    again = stripe_body(
        call, {"id": "evt_c", "created": body["created"] + 90}, canceled_at=body["created"] + 90
    )
    assert [event.name for event in memory.call(call, again).events] == ["Subscription Cancelled"]


def test_a_trial_is_no_subscription_before_it_is_paid() -> None:
    memory, call = Memory(), sample("stripe/08")
    memory.call(sample("stripe/06"))
    at = json.loads(call.body)["created"]
    assert [event.name for event in memory.call(call, stripe_body(call, status="trialing")).events] == [
        "Trial Started"
    ]
    later = stripe_body(call, {"id": "evt_t", "created": at + 86_400}, trial_end=at + 86_399)
    (start,) = memory.call(call, later).events
    assert (start.name, start.at) == ("Subscription Started", (at + 86_399) * SECOND)
    # Its first invoice is over nothing: nobody bought anything.
    free = sample("stripe/11")
    assert memory.call(free, stripe_body(free, total=0, amount_paid=0)).events == []


@pytest.mark.parametrize("status", ["past_due", "unpaid", "paused"])
def test_a_trial_that_ends_unpaid_starts_nothing(status: str) -> None:
    memory, call = Memory(), sample("stripe/08")
    memory.call(sample("stripe/06"))
    at = json.loads(call.body)["created"]
    trial = {"trial_end": at - 1, "status": status}
    assert memory.call(call, stripe_body(call, **trial)).events == []
    later = stripe_body(call, {"id": "evt_p", "created": at + 60}, trial_end=at - 1)
    assert [event.name for event in memory.call(call, later).events] == ["Subscription Started"]


def test_a_pause_and_its_end_are_told() -> None:
    memory, call = Memory(), sample("stripe/08")
    memory.call(sample("stripe/06"))
    memory.call(call)
    body = json.loads(call.body)
    found = []
    for number, (name, collection, before) in enumerate([
        ("customer.subscription.updated", {"behavior": "void"}, {"pause_collection": None}),
        ("customer.subscription.updated", None, {"pause_collection": {"behavior": "void"}}),
        ("customer.subscription.paused", None, {}),
        ("customer.subscription.resumed", None, {}),
    ]):  # fmt: skip
        data = {
            "object": {**body["data"]["object"], "pause_collection": collection},
            "previous_attributes": before,
        }
        update = {**body, "id": f"evt_p{number}", "type": name, "data": data}
        found += memory.call(call, json.dumps(update).encode()).events
    assert [event.name for event in found] == ["Subscription Changed"] * 4
    assert [event.properties["paused"] for event in found] == [True, False, True, False]


def test_a_checkout_by_the_same_customer_under_another_address_does_not_move_the_subscription() -> None:
    memory = Memory()
    memory.call(sample("stripe/05"))
    assert memory.call(sample("stripe/08")).waiting == 1
    (*_, start) = memory.call(sample("stripe/06")).events
    assert (start.name, start.identities[0].value) == ("Subscription Started", "tom@example.com")
