"""Merges and changed definitions: a contact becomes the state that a replay of its events gives, and stays there."""

from dataclasses import replace

import pytest

from nurture.domain.contact import Contact
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.refold import draw_alone, merge_states, refit
from nurture.domain.measure import Once, OnEvent, Variant
from nurture.domain.playbook import Conversion
from tests.domain.build import DAY, NOON, a_contact, a_measure, a_playbook, an_event, on

BEFORE = a_playbook()
AFTER = a_playbook(
    conversion=Conversion(by=(on("Subscription Started"),), key="subscription_id"), rules_hash="r2"
)


def test_a_conversion_that_is_defined_as_one_no_more_stays_gone_after_the_next_event() -> None:
    order = an_event("Order Completed", order_id="o-1")
    customer = advance(a_contact(BEFORE), [order], now=NOON, playbook=BEFORE).contact
    assert customer.track == "customer"

    replayed = advance(a_contact(AFTER), [order], now=NOON, playbook=AFTER, mail=False).contact
    refit(customer, replayed, at=NOON, evidence="definitions", playbook=AFTER)
    assert (customer.track, customer.memory.conversions) == ("lead", {})

    view = an_event("Product Viewed", NOON + DAY)
    later = advance(customer, [view], now=NOON + DAY, playbook=AFTER).contact
    assert (later.track, later.memory.conversions) == ("lead", {})


ARMS = a_playbook(
    a_measure(
        "any/notice",
        trigger=OnEvent(("Signed In",)),
        once=Once("event"),
        holdout=5_000,
        variants=tuple(Variant(name, 50) for name in "abcd"),
    )
)


def signed_in(contact: Contact, at: Instant) -> tuple[Contact, tuple[bool, str]]:
    """Return the contact after a sign-in, and arm and variant of the run that it begins."""
    result = advance(contact, [an_event("Signed In", at)], now=at, playbook=ARMS)
    run = result.runs["any/notice", f"Signed In@{at}"]
    return result.contact, (run.holdout, run.variant)


@pytest.mark.parametrize("first", [0, 1])
def test_a_merged_person_keeps_the_arm_and_the_variant_of_the_earlier_entry(first: int) -> None:
    mine, my_arm = signed_in(a_contact(ARMS), NOON + (DAY if first else 0))
    theirs, their_arm = signed_in(replace(a_contact(ARMS), id=3), NOON + (0 if first else DAY))
    assert my_arm != their_arm
    merged = merge_states(mine, theirs, a_contact(ARMS), now=NOON + 2 * DAY, playbook=ARMS).advance.contact
    merged, arm = signed_in(merged, NOON + 3 * DAY)
    assert arm == (their_arm if first else my_arm)
    draw_alone(merged.memory, 3)
    assert signed_in(merged, NOON + 4 * DAY)[1] == my_arm
