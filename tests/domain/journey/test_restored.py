"""An order whose cancellation is taken back: mail about the cancellation goes, mail about a refund stays."""

from dataclasses import replace

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure, Once, OnEvent, WaitFor
from nurture.domain.playbook import EntityKind, Reversal
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, on

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
BOUGHT = an_event("Order Completed", NOON, order_id="A", revenue=10)
CANCELLED = an_event("Order Cancelled", NOON + HOUR, order_id="A")
REFUNDED = an_event("Order Refunded", NOON + HOUR, order_id="A", refund_id="r1", total=10)
RESTORED = an_event("Order Restored", NOON + 2 * HOUR, order_id="A")


def about(name: str, *steps: MailStep | WaitFor, also: str = "") -> Measure:
    """Return a measure that such an event about an order starts; also: another event that starts it."""
    names = (name, also) if also else (name,)
    return a_measure(
        "any/about", trigger=OnEvent(names), entity="order", once=Once("event" if also else "order_id"),
        steps=steps or (MailStep("one", "one"),),
    )  # fmt: skip


def live(measure: Measure, *events: Event, contact: Contact | None = None) -> Advance:
    playbook = a_playbook(measure, entities={"order": ORDER})
    now = events[-1].received_at
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def reasons(result: Advance) -> set[str]:
    return {ending.reason for ending in result.cancellations}


def test_the_waiting_mail_about_a_cancellation_goes_when_it_is_taken_back() -> None:
    measure = about("Order Cancelled")
    begun = live(measure, BOUGHT, CANCELLED)
    assert [run.status for run in begun.runs.values()] == ["done"]
    result = live(measure, RESTORED, contact=begun.contact)
    assert reasons(result) == {"entity_restored"}
    again = an_event("Order Cancelled", NOON + 3 * HOUR, order_id="A")
    assert [mail.run_key for mail in live(measure, again, contact=result.contact).messages] == ["A#2"]


def test_a_run_about_a_cancellation_ends_when_it_is_taken_back() -> None:
    measure = about("Order Cancelled", MailStep("one", "one"), WaitFor("w", DAY), MailStep("two", "two"))
    result = live(measure, BOUGHT, CANCELLED, RESTORED)
    assert [(run.status, run.reason) for run in result.runs.values()] == [("stopped", "entity_restored")]
    assert [mail.cancelled for mail in result.messages] == ["entity_restored"]


def test_of_a_measure_about_both_only_the_mail_of_the_cancellation_goes() -> None:
    measure = about("Order Cancelled", also="Order Refunded")
    part = replace(REFUNDED, properties={**REFUNDED.properties, "total": 4})
    begun = live(measure, BOUGHT, part, CANCELLED)
    result = live(measure, RESTORED, contact=begun.contact)
    assert {(ending.reason, ending.begun_by) for ending in result.cancellations} == {
        ("entity_restored", "Order Cancelled")
    }
    whole = live(measure, BOUGHT, part, CANCELLED, RESTORED)
    of_event = {run.origin.event: run.key for run in whole.runs.values()}
    assert {mail.run_key: mail.cancelled for mail in whole.messages} == {
        of_event["Order Refunded"]: "",
        of_event["Order Cancelled"]: "entity_restored",
    }


def test_mail_about_a_refund_stays() -> None:
    measure = about("Order Refunded")
    begun = live(measure, BOUGHT, REFUNDED)
    assert reasons(live(measure, CANCELLED, RESTORED, contact=begun.contact)) == set()


def test_a_cancellation_that_comes_after_what_takes_it_back_starts_nothing() -> None:
    late = an_event("Order Cancelled", NOON + HOUR, received=NOON + 3 * HOUR, order_id="A")
    result = live(about("Order Cancelled"), BOUGHT, RESTORED, late)
    assert [(entry.reason, entry.detail) for entry in result.non_entries] == [("entity_restored", "order A")]
    assert result.messages == []


def test_a_cancellation_after_the_restoration_keeps_its_mail() -> None:
    measure = about("Order Cancelled")
    late = an_event("Order Restored", NOON + HOUR - 1, received=NOON + 2 * HOUR, order_id="A")
    begun = live(measure, BOUGHT, CANCELLED)
    assert reasons(live(measure, late, contact=begun.contact)) == set()
