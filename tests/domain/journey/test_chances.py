"""A chance is not used up where it could not be taken: condition triggers and the first consent to a topic."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure, Once, OnCondition, OnConsent, WaitFor
from nurture.domain.message import Settled, Status
from nurture.domain.playbook import Playbook, Topic
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, when

TOPICS = {"news": Topic("news"), "offers": Topic("offers", double_opt_in=False)}
BOUGHT = an_event("Order Completed", NOON + DAY, order_id="o1")


def live(playbook: Playbook, *events: Event, contact: Contact | None = None, until: Instant = 0) -> Advance:
    now = max([until, *(event.received_at for event in events)])
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def mails(result: Advance) -> list[tuple[str, Instant]]:
    return [(m.measure, m.due_at) for m in result.messages if not m.cancelled]


# ---- conditions ------------------------------------------------------------------------------------------


def on_condition(path: str, audience: str = "trials >= 1", **given: Any) -> Measure:
    return a_measure(path, trigger=OnCondition(), audience=when(audience), **given)


def test_an_answer_that_turned_yes_on_the_other_track_starts_the_measure_on_arrival() -> None:
    playbook = a_playbook(on_condition("customer/any/guide"))
    result = live(playbook, an_event("Trial Started"), BOUGHT)
    assert mails(result) == [("customer/any/guide", NOON + DAY)]


def test_an_answer_that_turned_yes_in_another_stage_starts_the_measure_on_arrival() -> None:
    playbook = a_playbook(on_condition("lead/convert/guide", "plan == 'gold'"))
    gold = an_event("Plan Changed", plan="gold")
    assert mails(live(playbook, gold, until=NOON + 9 * DAY)) == []
    result = live(playbook, gold, an_event("Trial Started", NOON + DAY))
    assert mails(result) == [("lead/convert/guide", NOON + DAY)]


def test_an_answer_that_turned_yes_by_time_elsewhere_starts_the_measure_on_arrival() -> None:
    playbook = a_playbook(on_condition("customer/any/guide", 'silent_days("Signed In") >= 2'))
    signed_in = an_event("Signed In", NOON - 3 * DAY)
    waiting = live(playbook, signed_in, until=NOON)
    assert waiting.contact.wake_at == FOREVER
    assert mails(live(playbook, BOUGHT, contact=waiting.contact)) == [("customer/any/guide", NOON + DAY)]


def test_coming_back_to_the_place_is_a_chance_again_only_where_once_allows_it() -> None:
    back = an_event("Order Cancelled", NOON + 2 * DAY, order_id="o1")
    again = an_event("Order Completed", NOON + 40 * DAY, order_id="o2")
    history = (an_event("Trial Started"), BOUGHT, back, again)
    once = live(a_playbook(on_condition("customer/any/guide")), *history)
    assert mails(once) == [("customer/any/guide", NOON + DAY)]
    rested = live(a_playbook(on_condition("customer/any/guide", once=Once(again_after=30 * DAY))), *history)
    assert mails(rested) == [("customer/any/guide", NOON + DAY), ("customer/any/guide", NOON + 40 * DAY)]


def test_an_answer_true_elsewhere_before_a_publish_is_no_baseline_for_this_place() -> None:
    lead = live(a_playbook(), an_event("Trial Started"))
    published = a_playbook(on_condition("customer/any/guide"), rules_hash="r2")
    assert mails(live(published, BOUGHT, contact=lead.contact)) == [("customer/any/guide", NOON + DAY)]


# ---- consent ---------------------------------------------------------------------------------------------


def welcome(path: str = "lead/any/welcome", topic: str = "news", **given: Any) -> Measure:
    values: dict[str, Any] = {"purpose": "nurture", "topic": topic, "trigger": OnConsent(topic)}
    return a_measure(path, **(values | given))


def programme(*measures: Measure, **given: Any) -> Playbook:
    return a_playbook(*(measures or (welcome(), welcome("customer/any/welcome"))), topics=TOPICS, **given)


def confirmed(at: Instant = NOON, topic: str = "news", **given: Any) -> Event:
    return an_event("Topic Confirmed", at, topic=topic, **({"source": "web"} | given))


def withdrawn(at: Instant, topic: str = "news", name: str = "Unsubscribed") -> Event:
    return an_event(name, at, topic=topic)


@pytest.mark.parametrize(
    ("before", "path"),
    [
        ((), "lead/any/welcome"),
        ((an_event("Product Added", NOON - 1, cart_id="c1", product_id="p"),), "lead/any/welcome"),
        ((an_event("Trial Started", NOON - 1),), "lead/any/welcome"),
        ((an_event("Order Completed", NOON - 1, order_id="o1"),), "customer/any/welcome"),
    ],
    ids=["aware", "cart", "trial", "customer"],
)
def test_the_confirmation_starts_the_welcome_on_both_tracks_and_in_every_stage(
    before: tuple[Event, ...], path: str
) -> None:
    assert mails(live(programme(), *before, confirmed(), until=NOON + 9 * DAY)) == [(path, NOON)]


def test_double_opt_in_counts_from_the_confirmation_on_and_another_topic_from_the_grant_on() -> None:
    playbook = programme(welcome(), welcome("lead/any/offers", "offers"))
    given = [an_event("Consent Given", NOON + i, topic=topic) for i, topic in enumerate(("news", "offers"))]
    asked = live(playbook, *given, confirmed(NOON + HOUR))
    assert mails(asked) == [("lead/any/offers", NOON + 1), ("lead/any/welcome", NOON + HOUR)]


def test_a_confirmation_of_the_instant_of_its_request_waits_for_another_one() -> None:
    """Of one instant the stricter word decides, for the guard too: the mail would be skipped."""
    words = (an_event("Consent Given", NOON, topic="news"), confirmed())
    assert mails(live(programme(), *words)) == []
    again = programme(welcome(once=Once(again_after=DAY)))
    later = live(again, *words, confirmed(NOON + 2 * DAY))
    assert mails(later) == [("lead/any/welcome", NOON + 2 * DAY)]


def test_a_browser_keys_request_takes_no_consent_back() -> None:
    playbook = programme(welcome(once=Once(again_after=DAY)))
    hinted = replace(an_event("Consent Given", NOON + 4 * DAY, topic="news"), hint=True)
    result = live(playbook, confirmed(), hinted, confirmed(NOON + 5 * DAY))
    assert [at for _, at in mails(result)] == [NOON]


def test_a_topic_asked_for_anew_starts_again_once_it_is_confirmed_again() -> None:
    playbook = programme(welcome(once=Once(again_after=DAY)))
    anew = an_event("Consent Given", NOON + 4 * DAY, topic="news")
    result = live(playbook, confirmed(), anew, confirmed(NOON + 5 * DAY))
    assert [at for _, at in mails(result)] == [NOON, NOON + 5 * DAY]


def test_a_browser_keys_grant_counts_only_once_it_is_confirmed() -> None:
    playbook = programme(welcome("lead/any/offers", "offers"))
    hinted = replace(an_event("Consent Given", topic="offers"), hint=True)
    assert mails(live(playbook, hinted)) == []
    assert mails(live(playbook, hinted, confirmed(NOON + HOUR, "offers"))) == [
        ("lead/any/offers", NOON + HOUR)
    ]


@pytest.mark.parametrize("past", [{"source": "import"}, {"historic": True}])
def test_consent_of_a_file_or_of_history_is_the_past(past: dict[str, Any]) -> None:
    result = live(programme(), confirmed(**past), withdrawn(NOON + DAY), confirmed(NOON + 2 * DAY))
    assert mails(result) == []


def test_consent_withdrawn_and_given_again_starts_nothing_unless_again_after_allows_it() -> None:
    history = (confirmed(), withdrawn(NOON + DAY), confirmed(NOON + 40 * DAY))
    assert mails(live(programme(), *history)) == [("lead/any/welcome", NOON)]
    for rest, starts in ((30, [NOON, NOON + 40 * DAY]), (60, [NOON])):
        playbook = programme(welcome(once=Once(again_after=rest * DAY)))
        assert [at for _, at in mails(live(playbook, *history))] == starts


@pytest.mark.parametrize(
    "off",
    [withdrawn(NOON + DAY, "*", "Consent Withdrawn"), withdrawn(NOON + DAY), withdrawn(NOON + DAY, "?")],
)
def test_a_repeated_grant_is_none_and_a_grant_after_any_withdrawal_is_one(off: Event) -> None:
    playbook = programme(welcome(once=Once(again_after=DAY)))
    assert len(mails(live(playbook, confirmed(), confirmed(NOON + 5 * DAY)))) == 1
    assert len(mails(live(playbook, confirmed(), off, confirmed(NOON + 5 * DAY)))) == 2


def test_a_grant_older_than_a_withdrawal_that_is_known_starts_nothing() -> None:
    late = confirmed(NOON, received=NOON + 2 * DAY)
    assert mails(live(programme(), withdrawn(NOON + DAY), late, until=NOON + 9 * DAY)) == []


def test_the_consent_is_the_same_in_whatever_order_it_is_told() -> None:
    history = [
        confirmed(),
        withdrawn(NOON + DAY),
        confirmed(NOON + 2 * DAY),
        withdrawn(NOON + 3 * DAY, "*", "Consent Withdrawn"),
        an_event("Consent Given", NOON + 4 * DAY, topic="news"),
    ]
    for measures in (programme(), programme(welcome(once=Once(again_after=DAY)))):
        states = [
            live(measures, *(replace(event, received_at=NOON + 9 * DAY) for event in order)).contact.memory
            for order in permutations(history)
        ]
        assert all(state.consents == states[0].consents for state in states)


def test_a_purchase_a_second_after_the_opt_in_hands_the_welcome_over() -> None:
    steps = (MailStep("welcome", "welcome"), WaitFor("w", 2 * DAY), MailStep("guide", "guide"))
    lead = welcome(steps=steps, series=True, handover="customer/any/welcome")
    playbook = programme(lead, welcome("customer/any/welcome", steps=steps, series=True))
    result = live(playbook, confirmed(NOON + DAY - 1), BOUGHT, until=NOON + 9 * DAY)
    # The mail that was still queued is decided again, in the customer's words.
    assert [(m.measure, m.step, m.cancelled) for m in result.messages] == [
        ("lead/any/welcome", "welcome", "handed_over"),
        ("customer/any/welcome", "welcome", ""),
    ]
    # One that had left is not: whether it was sent or given up.
    begun = live(playbook, confirmed(NOON + DAY - 1), until=NOON + DAY - 1)
    statuses: list[Status] = ["sent", "skipped", "in_doubt"]
    for status in statuses:
        ended = Settled(1, "lead/any/welcome", "", "welcome", status, NOON + DAY - 1)
        result = advance(begun.contact, [ended, BOUGHT], now=NOON + 9 * DAY, playbook=playbook)
        assert [(m.measure, m.step) for m in result.messages] == [("customer/any/welcome", "guide")]
