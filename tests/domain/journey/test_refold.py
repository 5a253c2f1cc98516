"""Changed definitions: a contact becomes the state that a replay of its events gives, and stays there."""

from nurture.domain.journey.advance import advance
from nurture.domain.journey.refold import refit
from nurture.domain.playbook import Conversion
from tests.domain.build import DAY, NOON, a_contact, a_playbook, an_event, on

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
