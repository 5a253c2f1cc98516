"""A run is keyed by how often and about an entity: exits, waits, replacement and hand-over use the entity."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import MINUTE, Instant, parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.measure import (
    Exit,
    MailStep,
    Measure,
    Once,
    OnEvent,
    OnOps,
    OnQuiet,
    Variant,
    WaitFor,
    WaitUntilDate,
    WaitUntilEvent,
)
from nurture.domain.message import Settled
from nurture.domain.playbook import EntityKind, LineRule, Playbook, Reversal
from tests.domain.build import DAY, ENTITIES, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, on, when

ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed", "Order Updated"),),
    counts_from=(on("Order Completed"),),
    amount="revenue",
    reversed_by=(
        Reversal(on("Order Cancelled")),
        Reversal(on("Order Refunded"), amount="total", key="refund_id"),
    ),
    lines=LineRule(("product_id",), source="products"),
)
SHIPMENT = EntityKind(
    "shipment",
    ("shipment_id",),
    (on("Order Shipped", "Order Delivered"),),
    closed_by={"Order Delivered": "key"},
    within="order",
    parent_keys=("order_id",),
)
SUPPLY = EntityKind("supply", ("product_id",), lines_of="order")


def playbook_of(*measures: Measure, **given: Any) -> Playbook:
    kinds = {kind.name: kind for kind in (*ENTITIES, ORDER, SHIPMENT, SUPPLY)}
    return a_playbook(*measures, **({"entities": kinds} | given))


def live(playbook: Playbook, *events: Event, contact: Contact | None = None, until: Instant = 0) -> Advance:
    now = max([until, *(event.received_at for event in events)])
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def mails(result: Advance) -> list[tuple[str, str]]:
    return [(m.run_key, m.mail) for m in result.messages if not m.cancelled]


def endings(result: Advance) -> list[tuple[str, str]]:
    return [(run.key, run.reason) for run in result.runs.values() if run.status != "active"]


def booked(at: Instant = NOON, key: str = "a1", day: str = "2026-03-10", **given: Any) -> Event:
    return an_event("Appointment Booked", at, appointment_id=key, starts_at=f"{day}T09:00:00Z", **given)


def changed(at: Instant, key: str = "a1", day: str = "2026-03-20", **given: Any) -> Event:
    return an_event("Appointment Changed", at, appointment_id=key, starts_at=f"{day}T09:00:00Z", **given)


def cancelled(at: Instant, key: str = "a1") -> Event:
    return an_event("Appointment Cancelled", at, appointment_id=key)


def reminder(**given: Any) -> Measure:
    values: dict[str, Any] = {
        "trigger": OnEvent(("Appointment Booked", "Appointment Changed")),
        "entity": "appointment",
        "once": Once("entity"),
        "steps": (WaitUntilDate("day_before", "entity.starts_at", -DAY), MailStep("reminder", "reminder")),
    }
    return a_measure("any/appointment", **(values | given))


EXIT = (Exit("Appointment Cancelled", "appointment_id", "cancelled"),)


# ---- the entity, whatever the key ------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["contact", "event", "day", "entity", "appointment_id"])
def test_a_keyed_exit_ends_the_run_about_that_entity_however_often_runs_are_started(per: str) -> None:
    playbook = playbook_of(reminder(once=Once(per), exits=EXIT))
    other = live(playbook, booked(), cancelled(NOON + HOUR, "a2"), until=NOON + 30 * DAY)
    own = live(playbook, booked(), cancelled(NOON + HOUR), until=NOON + 30 * DAY)
    assert [mail for _, mail in mails(other)] == ["reminder"]
    assert (mails(own), [reason for _, reason in endings(own)]) == ([], ["cancelled"])


@pytest.mark.parametrize("per", ["contact", "event", "day", "year"])
def test_a_wait_reads_the_date_of_the_entity_however_often_runs_are_started(per: str) -> None:
    result = live(playbook_of(reminder(once=Once(per))), booked(), until=NOON + 30 * DAY)
    assert [m.due_at for m in result.messages] == [parse_iso("2026-03-09T09:00:00Z")]


@pytest.mark.parametrize("per", ["contact", "event", "entity"])
def test_a_keyed_wait_ends_with_an_event_about_the_same_entity_only(per: str) -> None:
    steps = (
        WaitUntilEvent("w", ("Appointment Confirmed",), 9 * DAY, "appointment_id"),
        MailStep("one", "one"),
    )
    playbook = playbook_of(reminder(once=Once(per), steps=steps))
    about_it = an_event("Appointment Confirmed", NOON + DAY, appointment_id="a1")
    about_another = an_event("Appointment Confirmed", NOON + DAY, appointment_id="a2")
    due = [
        live(playbook, booked(), event, until=NOON + 30 * DAY).messages[0].due_at
        for event in (about_it, about_another)
    ]
    assert due == [NOON + DAY, NOON + 9 * DAY]


def shipped_playbook(**given: Any) -> Playbook:
    values: dict[str, Any] = {
        "trigger": OnEvent(("Order Shipped",)),
        "entity": "order",
        "once": Once("shipment_id"),
        "exits": (Exit("Order Cancelled", "order_id"),),
        "steps": (WaitFor("w", 30 * HOUR), MailStep("mail", "mail")),
    }
    return playbook_of(a_measure("any/shipped", **(values | given)))


ORDERED = an_event("Order Completed", NOON - HOUR, order_id="o1", revenue=10)
SHIPPED = an_event("Order Shipped", order_id="o1", shipment_id="s1")


def test_an_order_that_is_cancelled_is_not_announced_though_the_run_is_once_per_parcel() -> None:
    off = an_event("Order Cancelled", NOON + HOUR, order_id="o1")
    result = live(shipped_playbook(), ORDERED, SHIPPED, off, until=NOON + 3 * DAY)
    assert (mails(result), endings(result)) == ([], [("s1", "entity_reversed")])


def test_an_exit_by_the_parents_key_ends_the_run_about_a_part() -> None:
    playbook = shipped_playbook(entity="shipment", exits=(Exit("Order Stopped", "order_id", "stopped"),))
    stopped = an_event("Order Stopped", NOON + HOUR, order_id="o1")
    other = an_event("Order Stopped", NOON + HOUR, order_id="o2")
    assert endings(live(playbook, SHIPPED, stopped, until=NOON + 3 * DAY)) == [("s1", "stopped")]
    assert mails(live(playbook, SHIPPED, other, until=NOON + 3 * DAY)) == [("s1", "mail")]


def test_an_exit_by_a_line_ends_the_run_about_the_cart_that_holds_it() -> None:
    playbook = playbook_of(
        a_measure(
            "any/cart",
            trigger=OnQuiet("cart", HOUR),
            entity="cart",
            once=Once("entity"),
            exits=(Exit("Order Completed", "product_id", "converted"),),
            steps=(WaitFor("w", DAY), MailStep("mail", "mail")),
        )
    )
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    for product, expected in (("p1", []), ("p2", [("c1", "mail")])):
        bought = an_event(
            "Order Completed", NOON + 2 * HOUR, order_id="o", products=[{"product_id": product}]
        )
        assert mails(live(playbook, added, bought, until=NOON + 5 * DAY)) == expected


# ---- reversed, closed, empty -----------------------------------------------------------------------------


def test_reversal_ends_every_run_about_the_order_but_those_that_it_begins() -> None:
    playbook = playbook_of(
        a_measure(
            "any/care",
            trigger=OnEvent(("Order Completed",)),
            entity="order",
            once=Once("entity"),
            steps=(WaitFor("w", 9 * DAY), MailStep("mail", "care")),
        ),
        a_measure(
            "any/cancelled",
            trigger=OnEvent(("Order Cancelled",)),
            entity="order",
            once=Once("entity"),
            steps=(WaitFor("w", DAY), MailStep("mail", "cancelled")),
        ),
    )
    first, second = (an_event("Order Completed", NOON + i, order_id=f"o{i}", revenue=10) for i in (1, 2))
    off = an_event("Order Cancelled", NOON + HOUR, order_id="o1")
    told_again = an_event("Order Cancelled", NOON + 2 * HOUR, order_id="o1", id="again")
    result = live(playbook, first, second, off, told_again, until=NOON + 20 * DAY)
    assert mails(result) == [("o1", "cancelled"), ("o2", "care")]


def test_refunds_that_sum_to_the_amount_end_the_run_and_a_part_does_not() -> None:
    playbook = playbook_of(
        a_measure(
            "any/care",
            trigger=OnEvent(("Order Completed",)),
            entity="order",
            steps=(WaitFor("w", 9 * DAY), MailStep("mail", "care")),
        )
    )
    refunds = [
        an_event("Order Refunded", NOON + i * HOUR, order_id="o1", total=5, refund_id=f"r{i}") for i in (1, 2)
    ]
    assert mails(live(playbook, ORDERED, refunds[0], until=NOON + 20 * DAY)) == [("", "care")]
    assert endings(live(playbook, ORDERED, *refunds, until=NOON + 20 * DAY)) == [("", "entity_reversed")]


def test_reversal_cancels_the_last_mail_of_a_run_that_has_ended() -> None:
    playbook = shipped_playbook(steps=(MailStep("mail", "mail"),), exits=())
    begun = live(playbook, ORDERED, SHIPPED)
    assert not begun.contact.runs
    off = live(
        playbook, an_event("Order Cancelled", NOON + HOUR, order_id="o1"), contact=begun.contact
    ).cancellations
    assert [(c.measure, c.run_key, c.entity, c.entity_key, c.reason) for c in off] == [
        ("any/shipped", None, "order", "o1", "entity_reversed")
    ]
    together = live(playbook, ORDERED, SHIPPED, an_event("Order Cancelled", NOON + HOUR, order_id="o1"))
    assert [message.cancelled for message in together.messages] == ["entity_reversed"]


def test_an_order_that_was_reversed_before_it_is_told_starts_nothing_about_itself() -> None:
    playbook = shipped_playbook()
    off = an_event("Order Cancelled", NOON - 1, order_id="o1")
    result = live(playbook, off, ORDERED, SHIPPED, until=NOON + 3 * DAY)
    assert (mails(result), [entry.reason for entry in result.non_entries]) == ([], ["entity_reversed"])


def parcel(*, while_open: bool) -> Playbook:
    return shipped_playbook(entity="shipment", once=Once("entity"), exits=(), while_open=while_open)


def test_a_closed_entity_ends_a_run_that_goes_on_while_it_is_open() -> None:
    delivered = an_event("Order Delivered", NOON + HOUR, order_id="o1", shipment_id="s1")
    ended = live(parcel(while_open=True), SHIPPED, delivered, until=NOON + 3 * DAY)
    assert endings(ended) == [("s1", "entity_closed")]
    assert mails(live(parcel(while_open=False), SHIPPED, delivered, until=NOON + 3 * DAY)) == [("s1", "mail")]


def test_another_parcel_of_the_order_does_not_close_this_one() -> None:
    delivered = an_event("Order Delivered", NOON + HOUR, order_id="o1", shipment_id="s2")
    assert mails(live(parcel(while_open=True), SHIPPED, delivered, until=NOON + 3 * DAY)) == [("s1", "mail")]


def test_an_emptied_cart_ends_its_run_and_a_cart_that_was_empty_starts_none() -> None:
    playbook = playbook_of(
        a_measure(
            "any/cart",
            trigger=OnQuiet("cart", 2 * HOUR),
            entity="cart",
            while_open=True,
            once=Once("entity"),
            steps=(WaitFor("w", DAY), MailStep("mail", "mail")),
        )
    )
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    for at, expected in ((NOON + 3 * HOUR, [("c1", "entity_closed")]), (NOON + HOUR, [])):
        removed = an_event("Product Removed", at, cart_id="c1", product_id="p1")
        result = live(playbook, added, removed, until=NOON + 5 * DAY)
        assert (mails(result), endings(result)) == ([], expected)


# ---- replacement -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["entity", "appointment_id", "contact"])
def test_a_change_that_ends_the_wait_at_once_ends_the_old_run_before_it_sends(per: str) -> None:
    """The wait is for the very change; the old run must not send beside the new one."""
    steps = (
        WaitUntilEvent("w", ("Appointment Changed",), 9 * DAY, "appointment_id"),
        MailStep("one", "one"),
    )
    playbook = playbook_of(reminder(once=Once(per, again_on=("Appointment Changed",)), steps=steps))
    result = live(playbook, booked(), changed(NOON + DAY), until=NOON + DAY)
    assert (mails(result), [reason for _, reason in endings(result)]) == ([], ["superseded"])
    later = live(playbook, booked(), changed(NOON + DAY), until=NOON + 30 * DAY)
    assert [mail for _, mail in mails(later)] == ["one"]


def test_a_date_that_has_passed_by_the_change_is_the_new_runs_alone() -> None:
    playbook = playbook_of(reminder(once=Once("entity", again_on=("Appointment Changed",))))
    result = live(playbook, booked(), changed(NOON + DAY, day="2026-03-04"), until=NOON + 30 * DAY)
    assert mails(result) == [("a1#2", "reminder")]


def test_a_change_cancels_the_last_mail_of_the_old_run_that_is_done() -> None:
    steps = (MailStep("told", "told"),)
    playbook = playbook_of(reminder(once=Once("entity", again_on=("Appointment Changed",)), steps=steps))
    other = an_event(
        "Appointment Booked", NOON, appointment_id="a2", starts_at="2026-03-20T10:00:00Z", id="b2"
    )
    result = live(playbook, booked(), other, changed(NOON + HOUR))
    assert mails(result) == [("a2", "told"), ("a1#2", "told")]
    stored = live(playbook, changed(NOON + HOUR), contact=live(playbook, booked(), other).contact)
    assert [(ending.run_key, ending.reason) for ending in stored.cancellations] == [("a1", "superseded")]


def test_a_third_run_after_a_hand_over_of_the_second_has_a_key_of_its_own() -> None:
    lead = replace(
        reminder(once=Once("entity", again_on=("Appointment Changed",))),
        path="lead/any/appointment",
        track="lead",
        handover="customer/any/appointment",
    )
    customer = replace(lead, path="customer/any/appointment", track="customer", handover=None)
    result = live(
        playbook_of(lead, customer),
        booked(),
        changed(NOON + HOUR),
        an_event("Order Completed", NOON + 2 * HOUR, order_id="o1"),
        changed(NOON + 3 * HOUR, day="2026-03-25"),
        until=NOON + 40 * DAY,
    )
    assert mails(result) == [("a1#3", "reminder")]


def test_a_replaced_run_stays_when_the_new_one_may_not_begin() -> None:
    playbook = playbook_of(reminder(once=Once("entity", again_on=("Appointment Changed",)), horizon=HOUR))
    late = changed(NOON + 1, received=NOON + DAY)
    result = live(playbook, booked(), late, until=NOON + 30 * DAY)
    assert mails(result) == [("a1", "reminder")]


def test_an_older_change_that_arrives_late_makes_facts_and_says_nothing() -> None:
    playbook = playbook_of(
        reminder(once=Once("entity", again_on=("Appointment Changed",)), steps=(MailStep("told", "told"),))
    )
    newest = changed(NOON + 2 * HOUR)
    older = changed(NOON + HOUR, received=NOON + 3 * HOUR, day="2026-03-15", id="older")
    result = live(playbook, booked(), newest, older)
    assert mails(result) == [("a1#2", "told")]
    assert [entry.reason for entry in result.non_entries] == ["older_event"]
    in_order = live(playbook, booked(), replace(older, received_at=NOON + HOUR), newest)
    assert in_order.contact.memory.entities == result.contact.memory.entities


# ---- order inside one event ------------------------------------------------------------------------------


def test_a_bought_line_ends_and_another_goes_on_in_the_customers_words() -> None:
    lead = a_measure(
        "lead/any/cart",
        trigger=OnQuiet("cart", HOUR),
        entity="cart",
        while_open=True,
        once=Once("entity"),
        handover="customer/any/cart",
        steps=(WaitFor("w", DAY), MailStep("mail", "mail")),
    )
    customer = replace(lead, path="customer/any/cart", track="customer", handover=None)
    added = [
        an_event("Product Added", NOON + place, cart_id=f"c{place}", product_id=f"p{place}")
        for place in (1, 2)
    ]
    bought = an_event("Order Completed", NOON + 3 * HOUR, order_id="o1", cart_id="c1")
    result = live(playbook_of(lead, customer), *added, bought, until=NOON + 9 * DAY)
    assert [(m.measure, m.run_key) for m in result.messages if not m.cancelled] == [
        ("customer/any/cart", "c2")
    ]
    assert endings(result)[0] == ("c1", "entity_closed")


def test_an_exit_comes_before_the_place_is_left() -> None:
    measure = a_measure(
        "lead/any/note",
        trigger=OnEvent(("Signed Up",)),
        exits=(Exit("Order Completed", reason="converted"),),
        steps=(WaitFor("w", DAY), MailStep("mail", "mail")),
    )
    bought = an_event("Order Completed", NOON + HOUR, order_id="o1")
    result = live(playbook_of(measure), an_event("Signed Up"), bought, until=NOON + 3 * DAY)
    assert endings(result) == [("", "converted")]


# ---- exits by a condition --------------------------------------------------------------------------------


def calm(**given: Any) -> Playbook:
    measure = a_measure(
        "lead/any/care",
        trigger=OnEvent(("Signed Up",)),
        exits=(Exit(None, reason="calm", when=when(given.pop("until", "plan == 'gold'"))),),
        steps=(WaitFor("w", 5 * DAY), MailStep("mail", "mail"), WaitFor("x", DAY), MailStep("two", "two")),
        **given,
    )
    return playbook_of(measure)


def test_a_condition_ends_the_run_as_soon_as_an_event_makes_it_yes() -> None:
    gold = an_event("Plan Changed", NOON + DAY, plan="gold")
    assert endings(live(calm(), an_event("Signed Up"), gold)) == [("", "calm")]
    assert mails(live(calm(), an_event("Signed Up"), until=NOON + 6 * DAY)) == [("", "mail")]


def test_a_condition_ends_the_run_when_time_alone_makes_it_yes() -> None:
    playbook = calm(until='silent_days("Signed Up", "Signed In") >= 2')
    begun = live(playbook, an_event("Signed Up"))
    assert begun.contact.wake_at == NOON + 2 * DAY
    ended = advance(begun.contact, [], now=NOON + 9 * DAY, playbook=playbook)
    assert (endings(ended), mails(ended)) == ([("", "calm")], [])
    assert next(iter(ended.runs.values())).ended_at == NOON + 2 * DAY


def test_a_condition_that_is_yes_when_a_mail_ends_stops_the_next_one() -> None:
    playbook = calm(until="delights >= 1")
    begun = live(playbook, an_event("Signed Up"), until=NOON + 5 * DAY)
    answered = an_event("Survey Answered", NOON + 5 * DAY + MINUTE, score=10)
    sent = Settled(1, "lead/any/care", "", "mail", "sent", NOON + 5 * DAY + MINUTE)
    result = advance(begun.contact, [sent, answered], now=NOON + 20 * DAY, playbook=playbook)
    assert (endings(result), mails(result)) == ([("", "calm")], [])


def test_an_exit_with_a_condition_ends_only_the_runs_for_which_it_is_yes() -> None:
    measure = reminder(exits=(Exit("Plan Changed", when=when("plan == 'gold'")),))
    for plan, reasons in (("gold", ["exit"]), ("silver", [])):
        events = (booked(), an_event("Plan Changed", NOON + HOUR, plan=plan))
        assert [reason for _, reason in endings(live(playbook_of(measure), *events))] == reasons


# ---- hand-over -------------------------------------------------------------------------------------------


def twins(**given: Any) -> Playbook:
    values: dict[str, Any] = {
        "trigger": OnEvent(("Signed Up",)),
        "handover": "customer/any/course",
        "steps": (
            MailStep("one", "one"),
            WaitFor("w", 3 * DAY),
            MailStep("two", "two"),
        ),
    }
    lead = a_measure("lead/any/course", **(values | given))
    return playbook_of(lead, replace(lead, path="customer/any/course", track="customer", handover=None))


BOUGHT = an_event("Order Completed", NOON + 2 * DAY, order_id="o1")


def test_holdout_and_variant_are_never_drawn_anew() -> None:
    variants = (Variant("a", 50), Variant("b", 50))
    playbook = twins(holdout=5_000, variants=variants)
    for number in range(1, 40):
        person = replace(a_contact(playbook), id=number)
        begun = live(playbook, an_event("Signed Up"), contact=person)
        first = begun.runs["lead/any/course", ""]
        sent = Settled(1, "lead/any/course", "", "one", "sent", NOON + HOUR)
        result = advance(begun.contact, [sent, BOUGHT], now=NOON + 9 * DAY, playbook=playbook)
        heir = result.runs["customer/any/course", ""]
        assert (heir.holdout, heir.variant) == (first.holdout, first.variant)
        assert (heir.began_as, heir.measure) == ("lead/any/course", "customer/any/course")
        assert [(m.step, m.due_at, m.began_as) for m in result.messages] == [
            ("two", NOON + 3 * DAY + HOUR, "lead/any/course")
        ]


def test_an_heir_without_the_step_repeats_no_mail_of_the_same_id() -> None:
    playbook = twins()
    lead = playbook.measures["lead/any/course"]
    heir = replace(
        playbook.measures["customer/any/course"], steps=(MailStep("one", "one"), MailStep("tips", "tips"))
    )
    changed_playbook = playbook_of(lead, heir)
    begun = live(changed_playbook, an_event("Signed Up"))
    sent = Settled(1, "lead/any/course", "", "one", "sent", NOON + HOUR)
    result = advance(begun.contact, [sent, BOUGHT], now=NOON + 9 * DAY, playbook=changed_playbook)
    assert mails(result) == [("", "tips")]


def test_the_heir_is_about_the_same_entity_and_ends_with_it() -> None:
    lead = replace(
        reminder(handover="customer/any/appointment"), path="lead/any/appointment", track="lead", exits=EXIT
    )
    customer = replace(lead, path="customer/any/appointment", track="customer", handover=None)
    playbook = playbook_of(replace(lead, once=Once()), replace(customer, once=Once()))
    bought = an_event("Order Completed", NOON + HOUR, order_id="o1")
    result = live(playbook, booked(), bought, cancelled(NOON + 2 * HOUR), until=NOON + 30 * DAY)
    assert (mails(result), endings(result)[-1]) == ([], ("", "cancelled"))


# ---- sends by operators ----------------------------------------------------------------------------------


def sent(number: int, request: str, **given: Any) -> Event:
    values = {"measure": "any/notice", "request": request, **given}
    at = NOON + number * HOUR
    return an_event("Ops Send", at, kind="ops", source="ops", id=f"{request}:{number}", **values)


def notice(**given: Any) -> Playbook:
    return playbook_of(a_measure("any/notice", **({"trigger": OnOps()} | given)))


def test_the_same_send_by_another_command_mails_nobody_twice() -> None:
    assert mails(live(notice(), sent(1, "r1"), sent(2, "r2"))) == [("", "mail")]


def test_one_occasion_mails_a_person_once_and_another_one_again() -> None:
    playbook = notice(once=Once("occasion"))
    history = [
        sent(1, "r1", occasion="spring"),
        sent(2, "r2", occasion="spring"),
        sent(3, "r3", occasion="fall"),
    ]
    assert mails(live(playbook, *history)) == [("spring", "mail"), ("fall", "mail")]
    assert [entry.reason for entry in live(playbook, sent(1, "r1")).non_entries] == ["no_key"]


def test_a_repeat_that_an_operator_asks_for_mails_once_more_and_its_own_request_once() -> None:
    playbook = notice(once=Once("occasion"))
    first = sent(1, "r1", occasion="spring")
    again = [sent(number, "r2", occasion="spring", again=True) for number in (2, 3)]
    assert mails(live(playbook, first, *again)) == [("spring", "mail"), ("spring#ops:r2", "mail")]
    # The repeat may also be the first that a person gets.
    assert mails(live(playbook, *again, sent(4, "r4", occasion="spring"))) == [("spring", "mail")]


def test_a_second_repeat_ends_the_first_one_that_is_still_active() -> None:
    steps = (MailStep("mail", "mail"), WaitFor("w", DAY), MailStep("later", "later"))
    playbook = notice(once=Once("occasion"), steps=steps)
    sends = [sent(number, f"r{number}", occasion="spring", again=number > 1) for number in (1, 2, 3)]
    result = live(playbook, *sends)
    assert [run.key for run in result.contact.runs.values()] == ["spring#ops:r3"]
    assert endings(result) == [("spring", "superseded"), ("spring#ops:r2", "superseded")]


def test_another_measure_sent_by_hand_is_about_the_order_that_is_named() -> None:
    playbook = notice(trigger=OnEvent(("Order Completed",)), entity="order", once=Once("entity"))
    ordered = an_event("Order Completed", order_id="o1", revenue=10)
    result = live(playbook, ordered, sent(1, "r1", order_id="o1"), sent(2, "r2", order_id="o2"))
    assert [(run.key, run.entity_key) for run in result.runs.values()] == [("o1", "o1"), ("o2", "o2")]
    off = an_event("Order Cancelled", NOON + HOUR - 1, order_id="o1")
    assert [e.reason for e in live(playbook, ordered, off, sent(2, "r2", order_id="o1")).non_entries] == [
        "entity_reversed"
    ]


def test_an_application_that_asks_for_one_mail_gets_one_for_each_request() -> None:
    requests = [replace(sent(number, f"r{number}"), message_id=f"r{number}:api") for number in (1, 2)]
    assert mails(live(notice(), *requests)) == [("ops:r1", "mail"), ("ops:r2", "mail")]
