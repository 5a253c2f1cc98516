"""Run keys: a value that looks like the further run of another value is a value of its own."""

from itertools import permutations

import pytest

from nurture.domain.event import Event
from nurture.domain.instant import MINUTE
from nurture.domain.journey.advance import advance
from nurture.domain.journey.entry import is_run_of
from nurture.domain.measure import MailStep, Measure, Once, OnEvent, WaitFor
from nurture.domain.playbook import EntityKind, Reversal
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, on

RECEIPT = a_measure("any/receipt", trigger=OnEvent(("Order Completed",)), once=Once("order_id"))


def keys(measure: Measure, *values: str) -> list[str]:
    """Return the keys of the mails decided for orders of these values, told a minute apart."""
    playbook = a_playbook(measure)
    events = [
        an_event("Order Completed", NOON + place * MINUTE, order_id=value)
        for place, value in enumerate(values)
    ]
    result = advance(a_contact(playbook), events, now=NOON + HOUR, playbook=playbook)
    return [mail.run_key for mail in result.messages]


@pytest.mark.parametrize("values", [*permutations(["100", "100#2", "100#1"]), ("7", "7#2#3", "7#2", "7#02")])
def test_every_order_has_its_receipt_whatever_its_number_looks_like(values: tuple[str, ...]) -> None:
    assert len(set(keys(RECEIPT, *values))) == len(values)
    assert len(keys(RECEIPT, *values, *values)) == len(values)


def test_a_further_run_ends_the_run_of_its_own_value() -> None:
    steps = (WaitFor("w", 30 * MINUTE), MailStep("mail", "mail"))
    again = Once("order_id", again_on=("Order Completed",))
    measure = a_measure("any/receipt", trigger=RECEIPT.trigger, once=again, steps=steps)
    assert keys(measure, "100", "100#2", "100") == ["100#2#1", "100#2"]
    assert keys(measure, "100", "100#2", "100#2") == ["100", "100#2#2"]


def test_a_key_is_compared_with_the_values_of_an_event() -> None:
    assert is_run_of("100#2", {"100"})
    assert not is_run_of("100#2", {"100#2"})
    assert is_run_of("100#2#1", {"100#2"})
    assert is_run_of("100#2#3", {"100#2"})
    assert not is_run_of("100#2#1", {"100"})


ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed"),),
    amount="revenue",
    reversed_by=(
        Reversal(on("Order Cancelled")),
        Reversal(on("Order Refunded"), amount="total", key="refund_id"),
    ),
    restored_by=(on("Order Restored"),),
)


def keys_about_orders(measure: Measure, *events: Event) -> list[str]:
    playbook = a_playbook(measure, entities={"order": ORDER})
    result = advance(a_contact(playbook), events, now=NOON + 9 * DAY, playbook=playbook)
    return [mail.run_key for mail in result.messages]


def test_a_refund_number_is_one_of_its_order() -> None:
    measure = a_measure(
        "any/refunded", trigger=OnEvent(("Order Refunded",)), entity="order", once=Once("refund_id")
    )
    orders = [an_event("Order Completed", NOON, id=key, order_id=key, revenue=10) for key in "AB"]
    refunds = [
        an_event("Order Refunded", NOON + place * HOUR, order_id=key, refund_id=number, total=1)
        for place, (key, number) in enumerate(
            (("A", 1), ("B", 1), ("A", 1), ("A", 2), ("B", None), ("B", None))
        )
    ]
    assert keys_about_orders(measure, *orders, *refunds) == ["A 1", "B 1", "A 2", "B"]


@pytest.mark.parametrize("per", ["entity", "order_id"])
def test_each_cancellation_of_a_restored_order_is_confirmed_once(per: str) -> None:
    measure = a_measure(
        "any/cancelled", trigger=OnEvent(("Order Cancelled",)), entity="order", once=Once(per)
    )
    names = [
        "Completed",
        "Cancelled",
        "Cancelled",
        "Restored",
        "Cancelled",
        "Cancelled",
        "Restored",
        "Cancelled",
    ]
    events = [
        an_event(f"Order {name}", NOON + place * HOUR, order_id="A", revenue=10)
        for place, name in enumerate(names)
    ]
    assert keys_about_orders(measure, *events) == ["A", "A#2", "A#3"]
