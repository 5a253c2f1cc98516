"""`advance` as small stories: tracks, stages, runs, waits and exits."""

from dataclasses import replace
from itertools import permutations

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import FOREVER, MINUTE, Instant, parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.journey.position import active_holds
from nurture.domain.measure import (
    Exit,
    LocalSlot,
    MailStep,
    Once,
    OnCondition,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnQuiet,
    OnSchedule,
    OnStage,
    Variant,
    WaitFor,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilSlot,
)
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, when


def live(playbook: Playbook, *events: Event, contact: Contact | None = None, until: Instant = 0) -> Advance:
    """Let a person live through the events, and return what was decided in all."""
    now = max([until, *(event.received_at for event in events)])
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def decided(result: Advance) -> list[tuple[str, str, int]]:
    return [(m.measure, m.step, m.due_at) for m in result.messages if not m.cancelled]


def mails(result: Advance) -> list[str]:
    return [message.mail for message in result.messages if not message.cancelled]


def settled(result: Advance, at: Instant) -> Settled:
    """Say that the newest mail was sent."""
    last = result.messages[-1]
    return Settled(1, last.measure, last.run_key, last.step, "sent", at)


# ---- track and stage -------------------------------------------------------------------------------------


def test_first_order_makes_a_customer_whatever_stage_the_lead_was_at() -> None:
    playbook = a_playbook()
    result = live(playbook, an_event("Order Completed", order_id="o1"))
    assert (result.contact.track, result.contact.stage) == ("customer", "excite")
    assert [(t.kind, t.before, t.after) for t in result.transitions] == [
        ("track", "lead", "customer"),
        ("stage", "aware", "excite"),
    ]


def test_a_trial_is_no_conversion() -> None:
    result = live(a_playbook(), an_event("Trial Started"))
    assert (result.contact.track, result.contact.stage) == ("lead", "convert")


def test_full_reversal_of_the_only_order_returns_to_lead_behind_a_hold() -> None:
    playbook = a_playbook()
    bought = an_event("Order Completed", order_id="o1")
    back = an_event("Order Cancelled", NOON + DAY, order_id="o1")
    result = live(playbook, bought, back)
    assert result.contact.track == "lead"
    holds = active_holds(result.contact, now=NOON + 2 * DAY, playbook=playbook)
    assert [hold.hold.name for hold in holds] == ["after_return"]


def test_reversal_of_one_of_two_orders_changes_no_track() -> None:
    result = live(
        a_playbook(),
        an_event("Order Completed", order_id="o1"),
        an_event("Order Completed", NOON + HOUR, order_id="o2"),
        an_event("Order Cancelled", NOON + DAY, order_id="o1"),
    )
    assert result.contact.track == "customer"


def test_reversal_that_arrives_before_its_order_still_counts() -> None:
    late = an_event("Order Completed", NOON, received=NOON + 2 * DAY, order_id="o1")
    result = live(a_playbook(), an_event("Order Cancelled", NOON + DAY, order_id="o1"), late)
    assert result.contact.track == "lead"


# ---- entering and exits ----------------------------------------------------------------------------------


def confirmation() -> Playbook:
    return a_playbook(
        a_measure(
            "customer/any/order_confirmation",
            purpose="transactional",
            trigger=OnEvent(("Order Completed",)),
            once=Once("order_id"),
        )
    )


def test_an_order_is_confirmed_once_though_it_is_told_twice() -> None:
    first = an_event("Order Completed", order_id="o1")
    again = an_event("Order Completed", NOON + MINUTE, order_id="o1", id="again")
    assert mails(live(confirmation(), first, again)) == ["mail"]


def test_each_order_has_a_run_of_its_own() -> None:
    result = live(
        confirmation(),
        an_event("Order Completed", order_id="o1"),
        an_event("Order Completed", NOON + MINUTE, order_id="o2"),
    )
    assert [message.run_key for message in result.messages] == ["o1", "o2"]


def test_an_event_older_than_the_horizon_makes_facts_and_starts_nothing() -> None:
    old = an_event("Order Completed", NOON - 30 * DAY, received=NOON, order_id="o1")
    result = live(confirmation(), old)
    assert result.contact.facts["orders"] == 1
    assert mails(result) == []
    assert [(entry.measure, entry.reason) for entry in result.non_entries] == [
        ("customer/any/order_confirmation", "too_old")
    ]


def test_a_historic_event_makes_facts_and_never_mail() -> None:
    result = live(confirmation(), an_event("Order Completed", order_id="o1", historic=True))
    assert result.contact.track == "customer"
    assert (mails(result), result.runs) == ([], {})


def cart_mail(track: str = "lead/convert") -> Playbook:
    return a_playbook(
        a_measure(
            f"{track}/abandoned_cart",
            trigger=OnQuiet("cart", 2 * HOUR),
            entity="cart",
            once=Once("entity", gap=7 * DAY),
            exits=(Exit("Order Completed"),),
            steps=(MailStep("first", "first"), WaitFor("wait1", DAY), MailStep("second", "second")),
        )
    )


def test_a_cart_left_alone_for_two_hours_is_written_about_from_its_last_touch() -> None:
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    more = an_event("Product Added", NOON + HOUR, cart_id="c1", product_id="p2")
    result = live(cart_mail(), added, more, until=NOON + 4 * HOUR)
    assert decided(result) == [("lead/convert/abandoned_cart", "first", NOON + 3 * HOUR)]


def test_an_order_closes_the_cart_before_it_is_ever_written_about() -> None:
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    bought = an_event("Order Completed", NOON + HOUR, order_id="o1")
    assert mails(live(cart_mail(), added, bought, until=NOON + DAY)) == []


def test_a_late_product_added_does_not_open_a_cart_that_was_bought() -> None:
    bought = an_event("Order Completed", NOON + HOUR, order_id="o1", cart_id="c1")
    late = an_event("Product Added", NOON, received=NOON + 2 * HOUR, cart_id="c1", product_id="p1")
    result = live(cart_mail("customer/any"), bought, late, until=NOON + DAY)
    assert result.contact.facts["cart.open"] == 0
    assert mails(result) == []


def test_a_cart_that_was_forgotten_is_counted_once_in_whatever_order_it_is_told_of() -> None:
    first = an_event("Product Added", cart_id="c1", product_id="p1")
    much_later = an_event("Product Added", NOON + 40 * DAY, cart_id="c2", product_id="p1")
    told_late = an_event(
        "Product Added", NOON + HOUR, received=NOON + 41 * DAY, cart_id="c1", product_id="p2"
    )
    for order in permutations([first, much_later, told_late]):
        facts = live(cart_mail(), *order).contact.facts
        assert (facts["cart.ever"], facts["cart.open"]) == (2, 1)


def test_an_exit_ends_the_run_and_cancels_what_is_queued() -> None:
    playbook = cart_mail()
    quiet = live(playbook, an_event("Product Added", cart_id="c1", product_id="p1"), until=NOON + 3 * HOUR)
    bought = an_event("Order Completed", NOON + 4 * HOUR, order_id="o1")
    after = live(playbook, bought, contact=quiet.contact)
    run = after.runs["lead/convert/abandoned_cart", "c1"]
    assert (run.status, run.reason) == ("stopped", "exit")
    assert ("lead/convert/abandoned_cart", "c1") in {(c.measure, c.run_key) for c in after.cancellations}


def test_a_purchase_in_the_same_batch_cancels_the_mail_decided_before_it() -> None:
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    bought = an_event("Order Completed", NOON + 4 * HOUR, order_id="o1")
    result = live(cart_mail(), added, bought)
    assert [message.cancelled for message in result.messages] == ["exit"]


def test_the_second_cart_within_seven_days_is_let_be() -> None:
    first = an_event("Product Added", cart_id="c1", product_id="p1")
    second = an_event("Product Added", NOON + 2 * DAY, cart_id="c2", product_id="p1")
    result = live(cart_mail(), first, second, until=NOON + 3 * DAY)
    assert [message.run_key for message in result.messages] == ["c1"]
    assert "gap" in {entry.reason for entry in result.non_entries}


# ---- steps and waits -------------------------------------------------------------------------------------


def series(*steps: object, **given: object) -> Playbook:
    values: dict[str, object] = {"trigger": OnEvent(("Signed Up",)), "steps": steps}
    return a_playbook(a_measure("lead/any/series", **(values | given)))


def test_a_later_step_waits_for_the_one_before_to_be_settled() -> None:
    playbook = series(MailStep("one", "one"), WaitFor("wait1", 2 * DAY), MailStep("two", "two"))
    begun = live(playbook, an_event("Signed Up"), until=NOON + 10 * DAY)
    assert mails(begun) == ["one"]
    settled_later = advance(
        begun.contact, [settled(begun, NOON + 11 * DAY)], now=NOON + 20 * DAY, playbook=playbook
    )
    assert decided(settled_later) == [("lead/any/series", "two", NOON + 13 * DAY)]


def test_a_wait_until_a_slot_ends_in_the_persons_own_morning() -> None:
    slot = LocalSlot(9 * 60, frozenset({1}))
    playbook = series(WaitUntilSlot("wait1", slot), MailStep("one", "one"))
    begun = live(playbook, an_event("Signed Up", traits={"timezone": "Asia/Shanghai"}), until=NOON + 10 * DAY)
    assert decided(begun)[0][2] == parse_iso("2026-03-03T01:00:00Z")


def test_a_wait_until_a_slot_moves_with_the_person_to_another_zone() -> None:
    """Its own condition is asked when the run comes to it, and not again."""
    slot = WaitUntilSlot("wait1", LocalSlot(9 * 60), at_least=DAY, when=when("trials == 0"))
    playbook = series(slot, MailStep("one", "one"))
    asia = an_event("Signed Up", traits={"timezone": "Asia/Shanghai"})
    trial = an_event("Trial Started", NOON + HOUR)
    west = an_event("Signed In", NOON + 2 * HOUR, traits={"timezone": "America/New_York"})
    moved = live(playbook, asia, trial, west, until=NOON + 10 * DAY)
    assert decided(moved)[0][2] == parse_iso("2026-03-03T14:00:00Z")


def test_a_wait_for_an_event_ends_with_it_or_with_time() -> None:
    playbook = series(WaitUntilEvent("wait1", ("Signed In",), 5 * DAY), MailStep("one", "one"))
    came = live(playbook, an_event("Signed Up"), an_event("Signed In", NOON + DAY))
    never = live(playbook, an_event("Signed Up"), until=NOON + 9 * DAY)
    assert (decided(came)[0][2], decided(never)[0][2]) == (NOON + DAY, NOON + 5 * DAY)


def appointment() -> Playbook:
    return a_playbook(
        a_measure(
            "lead/any/appointment",
            trigger=OnEvent(("Appointment Booked", "Appointment Changed")),
            entity="appointment",
            once=Once("entity", again_on=("Appointment Changed",)),
            exits=(Exit("Appointment Cancelled", "appointment_id", "cancelled"),),
            handover="customer/any/appointment",
            steps=(WaitUntilDate("wait1", "entity.starts_at", -DAY), MailStep("reminder", "reminder")),
        ),
        a_measure(
            "customer/any/appointment",
            trigger=OnEvent(("Appointment Booked",)),
            entity="appointment",
            once=Once("entity"),
            steps=(WaitUntilDate("wait1", "entity.starts_at", -DAY), MailStep("reminder", "reminder")),
        ),
    )


def test_a_reminder_moves_with_the_appointment() -> None:
    booked = an_event("Appointment Booked", appointment_id="a1", starts_at="2026-03-10T09:00:00Z")
    moved = an_event("Appointment Changed", NOON + DAY, appointment_id="a1", starts_at="2026-03-20T09:00:00Z")
    result = live(appointment(), booked, moved, until=NOON + 30 * DAY)
    assert [(m.run_key, m.due_at) for m in result.messages] == [("a1#2", parse_iso("2026-03-19T09:00:00Z"))]


def test_an_appointment_without_a_date_ends_its_run_with_the_reason() -> None:
    result = live(appointment(), an_event("Appointment Booked", appointment_id="a1"))
    assert result.runs["lead/any/appointment", "a1"].reason == "date_unknown"


def test_a_purchase_hands_the_appointment_over_with_its_key() -> None:
    booked = an_event("Appointment Booked", appointment_id="a1", starts_at="2026-03-10T09:00:00Z")
    bought = an_event("Order Completed", NOON + DAY, order_id="o1")
    result = live(appointment(), booked, bought, until=NOON + 30 * DAY)
    assert decided(result) == [("customer/any/appointment", "reminder", parse_iso("2026-03-09T09:00:00Z"))]


def test_a_cancelled_appointment_ends_only_its_own_run() -> None:
    one = an_event("Appointment Booked", appointment_id="a1", starts_at="2026-03-10T09:00:00Z")
    two = an_event("Appointment Booked", NOON + 1, appointment_id="a2", starts_at="2026-03-11T09:00:00Z")
    off = an_event("Appointment Cancelled", NOON + HOUR, appointment_id="a1")
    result = live(appointment(), one, two, off, until=NOON + 30 * DAY)
    assert [message.run_key for message in result.messages] == ["a2"]


def test_one_series_at_a_time_and_the_second_waits_its_turn() -> None:
    first = a_measure(
        "lead/any/welcome",
        trigger=OnEvent(("Signed Up",)),
        series=True,
        steps=(WaitFor("wait1", 3 * DAY), MailStep("one", "one")),
    )
    second = a_measure("lead/any/course", trigger=OnEvent(("Persona Known",)), series=True)
    result = live(
        a_playbook(first, second),
        an_event("Signed Up"),
        an_event("Persona Known", NOON + HOUR),
        until=NOON + 9 * DAY,
    )
    assert decided(result) == [
        ("lead/any/welcome", "one", NOON + 3 * DAY),
        ("lead/any/course", "mail", NOON + 3 * DAY),
    ]


def test_leaving_the_stage_stops_a_run_unless_the_measure_goes_on() -> None:
    stops = series(WaitFor("wait1", DAY), MailStep("one", "one"))
    path = "lead/aware/series"
    measure = replace(stops.measures["lead/any/series"], path=path, stage="aware")
    moved = an_event("Trial Started", NOON + HOUR)
    stopped = live(a_playbook(measure), an_event("Signed Up"), moved, until=NOON + 3 * DAY)
    goes_on = live(
        a_playbook(replace(measure, on_stage_change="continue")),
        an_event("Signed Up"),
        moved,
        until=NOON + 3 * DAY,
    )
    assert (mails(stopped), mails(goes_on)) == ([], ["one"])


# ---- triggers --------------------------------------------------------------------------------------------


def quiet_buyer() -> Playbook:
    return a_playbook(
        a_measure(
            "customer/any/second_order_coupon",
            trigger=OnCondition(),
            audience=when(
                'orders == 1 and silent_days("Order Completed", "Signed In") > 30 and satisfied is not no'
            ),
        )
    )


def test_a_quiet_one_time_buyer_is_reached_after_more_than_30_silent_days_and_not_before() -> None:
    playbook = quiet_buyer()
    bought = live(playbook, an_event("Order Completed", order_id="o1"))
    assert bought.contact.wake_at == NOON + 31 * DAY
    before = advance(bought.contact, [], now=NOON + 31 * DAY - 1, playbook=playbook)
    after = advance(bought.contact, [], now=NOON + 31 * DAY, playbook=playbook)
    assert (mails(before), mails(after)) == ([], ["mail"])


def test_a_sign_in_starts_the_silence_anew() -> None:
    result = live(
        quiet_buyer(),
        an_event("Order Completed", order_id="o1"),
        an_event("Signed In", NOON + 20 * DAY),
        until=NOON + 60 * DAY,
    )
    assert decided(result) == [("customer/any/second_order_coupon", "mail", NOON + 51 * DAY)]


def test_a_contact_that_fits_before_a_measure_is_published_does_not_enter() -> None:
    bought = live(a_playbook(), an_event("Order Completed", order_id="o1"), until=NOON + 40 * DAY)
    published = replace(quiet_buyer(), rules_hash="r2")
    after = advance(bought.contact, [], now=NOON + 80 * DAY, playbook=published)
    assert mails(after) == []
    entering = replace(published, backlog="enter")
    assert mails(advance(bought.contact, [], now=NOON + 41 * DAY, playbook=entering)) == ["mail"]


def test_a_historic_order_of_long_ago_wakes_nobody_and_a_recent_one_becomes_true_later() -> None:
    long_ago = an_event("Order Completed", NOON - 400 * DAY, received=NOON, order_id="o1", historic=True)
    recent = an_event("Order Completed", NOON - 10 * DAY, received=NOON, order_id="o1", historic=True)
    assert mails(live(quiet_buyer(), long_ago, until=NOON + 365 * DAY)) == []
    assert decided(live(quiet_buyer(), recent, until=NOON + 365 * DAY)) == [
        ("customer/any/second_order_coupon", "mail", NOON + 21 * DAY)
    ]


def test_an_import_of_history_leaves_the_silence_of_a_live_cart_ahead() -> None:
    filled = an_event("Product Added", NOON, cart_id="live", product_id="p1")
    viewed = an_event("Product Viewed", NOON - DAY, historic=True, received=NOON + HOUR)
    left = an_event(
        "Product Added", NOON - HOUR, cart_id="old", product_id="p2", historic=True, received=NOON + HOUR
    )
    again = an_event(
        "Product Added",
        NOON,
        cart_id="live",
        product_id="p1",
        id="again",
        historic=True,
        received=NOON + HOUR,
    )
    result = live(cart_mail(), filled, viewed, left, again, until=NOON + DAY)
    assert [(run.key, run.started_at) for run in result.runs.values()] == [("live", NOON + 2 * HOUR)]


def test_milestones_and_stages_start_what_waits_for_them() -> None:
    playbook = a_playbook(
        a_measure("customer/any/decision_confirmed", trigger=OnMilestone("first_order")),
        a_measure("lead/subscribe/welcome", trigger=OnStage("subscribe")),
    )
    result = live(
        playbook,
        an_event("Topic Confirmed"),
        an_event("Order Completed", NOON + 1),
        an_event("Order Completed", NOON + 2),
    )
    assert [message.measure for message in result.messages] == [
        "lead/subscribe/welcome",
        "customer/any/decision_confirmed",
    ]


def test_a_birthday_comes_every_year_at_nine_local_also_on_29_february() -> None:
    playbook = a_playbook(
        a_measure(
            "lead/any/birthday",
            trigger=OnDate("birthday", yearly=True, minute_of_day=9 * 60),
            once=Once("year"),
        )
    )
    born = an_event("Identified", traits={"birthday": "1988-02-29", "timezone": "Europe/Berlin"})
    result = live(playbook, born, until=parse_iso("2028-12-31T00:00:00Z"))
    assert [m.due_at for m in result.messages] == [
        parse_iso("2027-02-28T08:00:00Z"),
        parse_iso("2028-02-29T08:00:00Z"),
    ]


def test_a_notice_before_a_date_follows_the_date_when_it_moves() -> None:
    playbook = a_playbook(
        a_measure("lead/any/renewal", trigger=OnDate("renewal_at", offset=-30 * DAY), once=Once("event"))
    )
    known = an_event("Identified", traits={"renewalAt": "2026-06-01T00:00:00Z"})
    moved = an_event("Identified", NOON + DAY, traits={"renewalAt": "2026-07-01T00:00:00Z"})
    result = live(playbook, known, moved, until=NOON + 365 * DAY)
    assert [m.due_at for m in result.messages] == [parse_iso("2026-06-01T00:00:00Z")]


def test_a_weekly_digest_wakes_only_its_audience() -> None:
    playbook = a_playbook(
        a_measure(
            "lead/any/digest",
            audience=when("topics >= 1"),
            trigger=OnSchedule(LocalSlot(10 * 60, frozenset({1}))),
            once=Once("day"),
        )
    )
    outside = live(playbook, an_event("Signed Up"), until=NOON + 30 * DAY)
    inside = live(playbook, an_event("Topic Confirmed"), until=NOON + 14 * DAY)
    assert (outside.contact.wake_at, mails(outside)) == (FOREVER, [])
    assert [m.due_at for m in inside.messages] == [
        parse_iso("2026-03-03T10:00:00Z"),
        parse_iso("2026-03-10T10:00:00Z"),
    ]


def test_a_contact_waiting_for_a_product_gets_one_mail_and_waits_no_longer() -> None:
    playbook = a_playbook(
        a_measure(
            "lead/any/back", trigger=OnObject("product", ("Product Back In Stock",)), once=Once("event")
        )
    )
    asked = an_event("Waitlist Joined", product_id="p1")
    back = an_event("Product Back In Stock", NOON + DAY, kind="object", source="object", product_id="p1")
    result = live(playbook, asked, back)
    assert mails(result) == ["mail"]
    assert [(watch.key, watch.is_start) for watch in result.watches] == [("p1", True), ("p1", False)]


def test_ops_send_the_same_request_once() -> None:
    playbook = a_playbook(a_measure("lead/any/notice"))
    first = an_event("Ops Send", kind="ops", measure="lead/any/notice", request="r1", id="1")
    again = an_event("Ops Send", NOON + 1, kind="ops", measure="lead/any/notice", request="r1", id="2")
    assert mails(live(playbook, first, again)) == ["mail"]


def test_re_entry_after_a_rest_when_the_condition_still_holds() -> None:
    playbook = a_playbook(
        a_measure(
            "lead/any/survey",
            audience=when("trials >= 1"),
            trigger=OnCondition(),
            once=Once(again_after=180 * DAY),
        )
    )
    result = live(playbook, an_event("Trial Started"), until=NOON + 400 * DAY)
    assert [(m.run_key, m.due_at) for m in result.messages] == [
        ("", NOON),
        ("#2", NOON + 180 * DAY),
        ("#3", NOON + 360 * DAY),
    ]


@pytest.mark.parametrize(("ended_at", "again_at"), [(DAY, 3 * DAY), (5 * DAY, 5 * DAY)])
def test_re_entry_waits_for_the_rest_and_for_the_end_of_the_run(ended_at: int, again_at: int) -> None:
    """No event has to come by for it: the end of the run itself asks again."""
    steps = (MailStep("one", "one"), MailStep("two", "two", when=when("plan == 'gold'")))
    survey = a_measure(
        "lead/any/survey",
        audience=when("trials >= 1"),
        trigger=OnCondition(),
        once=Once(again_after=3 * DAY),
        steps=steps,
    )
    playbook = a_playbook(survey)
    entered = live(playbook, an_event("Trial Started"))
    ended = settled(entered, NOON + ended_at)
    result = advance(entered.contact, [ended], now=NOON + 6 * DAY, playbook=playbook)
    assert [(m.run_key, m.due_at) for m in result.messages] == [("#2", NOON + again_at)]


def test_a_repeated_request_of_a_browser_key_takes_no_silence_away() -> None:
    """Everybody can read such a key."""
    added = an_event("Product Added", cart_id="c1", product_id="p1")
    request = replace(an_event("Consent Given", NOON + HOUR, topic="news", historic=True), hint=True)
    result = live(cart_mail(), added, request, until=NOON + 3 * HOUR)
    assert decided(result)[:1] == [("lead/convert/abandoned_cart", "first", NOON + 2 * HOUR)]


def test_the_end_of_a_run_begins_no_other_one_of_a_measure_that_an_event_starts() -> None:
    steps = (MailStep("one", "one"), MailStep("two", "two", when=when("plan == 'gold'")))
    thanks = a_measure(
        "lead/any/thanks", trigger=OnEvent(("Trial Started",)), once=Once(again_after=DAY), steps=steps
    )
    playbook = a_playbook(thanks)
    entered = live(playbook, an_event("Trial Started"))
    result = advance(
        entered.contact, [settled(entered, NOON + 2 * DAY)], now=NOON + 6 * DAY, playbook=playbook
    )
    assert result.messages == []


def test_re_entry_waits_for_the_gap_where_that_is_longer() -> None:
    once = Once(again_after=2 * DAY, gap=3 * DAY)
    survey = a_measure("lead/any/survey", audience=when("trials >= 1"), trigger=OnCondition(), once=once)
    result = live(a_playbook(survey), an_event("Trial Started"), until=NOON + 7 * DAY)
    assert [m.due_at for m in result.messages] == [NOON, NOON + 3 * DAY, NOON + 6 * DAY]


def test_holdout_and_variant_are_fixed_on_the_run() -> None:
    playbook = a_playbook(
        a_measure(
            "lead/any/notice",
            trigger=OnEvent(("Signed Up",)),
            holdout=10_000,
            variants=(Variant("a", 50), Variant("b", 50)),
        )
    )
    result = live(playbook, an_event("Signed Up"))
    assert (result.messages[0].holdout, result.runs["lead/any/notice", ""].variant in ("a", "b")) == (
        True,
        True,
    )


# ---- a changed playbook ----------------------------------------------------------------------------------


def test_people_in_flight_follow_a_changed_playbook() -> None:
    before = series(WaitFor("wait1", 5 * DAY), MailStep("one", "one"))
    begun = live(before, an_event("Signed Up"))

    def under(*steps: object) -> Advance:
        changed = replace(series(*steps, rules_hash="2"), rules_hash="r2")
        return advance(begun.contact, [], now=NOON + 2 * DAY, playbook=changed)

    shorter = under(WaitFor("wait1", DAY), MailStep("one", "one"))
    longer = under(WaitFor("wait1", 9 * DAY), MailStep("one", "one"))
    removed = under(MailStep("one", "one"))
    assert (mails(shorter), mails(removed)) == (["one"], ["one"])
    assert longer.contact.wake_at == NOON + 9 * DAY
    gone = advance(begun.contact, [], now=NOON + DAY, playbook=a_playbook(rules_hash="r3"))
    assert gone.runs["lead/any/series", ""].reason == "measure_gone"


def test_a_contact_never_sleeps_with_an_alarm_in_the_past() -> None:
    playbook = cart_mail()
    result = live(playbook, an_event("Product Added", cart_id="c1", product_id="p1"), until=NOON + 3 * HOUR)
    assert result.contact.wake_at > result.contact.clock
