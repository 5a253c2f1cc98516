"""Requests of a person: the one that starts a run, by an event or a watch, proven or not."""

from dataclasses import replace
from itertools import permutations

import pytest

from nurture.domain.contact import PersonRequest, WatchChange
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from nurture.domain.journey.object_watches import open_watches
from nurture.domain.journey.refold import merge_states
from nurture.domain.measure import MailStep, Measure, Once, OnEvent, OnObject
from nurture.domain.message import PlannedMessage, Settled
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event

RESTOCK = a_measure(
    "lead/any/back",
    trigger=OnObject("product", ("Product Back In Stock",)),
    once=Once("event"),
    asked_for=True,
)
QUOTE = a_measure("lead/any/quote", trigger=OnEvent(("Quote Requested",)), once=Once("event"), asked_for=True)


def an_ask(at: Instant = NOON, *, hint: bool = False, name: str = "Waitlist Joined") -> Event:
    event = an_event(name, at, product_id="kettle")
    event.hint = hint
    return event


def a_restock(at: Instant) -> Event:
    return an_event("Product Back In Stock", at, kind="object", product_id="kettle", object_kind="product")


def decide(measure: Measure, *events: Event) -> tuple[list[PlannedMessage], list[PersonRequest | None]]:
    """Return the messages of the measure, and the request of each run, in the order of the runs."""
    playbook = a_playbook(measure, objects=_watched())
    result = advance(a_contact(playbook), events, now=NOON + 9 * DAY, playbook=playbook)
    runs = sorted(result.runs.values(), key=lambda run: run.started_at)
    return result.messages, [run.origin.asked for run in runs]


def _watched() -> dict[str, object]:
    kind = a_playbook().objects["product"]
    return {"product": replace(kind, watched_from=("Waitlist Joined", "Product Liked"))}


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        pytest.param([an_ask()], PersonRequest("Waitlist Joined", NOON, True), id="asked"),
        pytest.param([an_ask(hint=True)], PersonRequest("Waitlist Joined", NOON, False), id="by a browser"),
        pytest.param([an_ask(name="Product Liked")], None, id="watched for another reason"),
        pytest.param(
            [an_ask(name="Product Liked"), an_ask(NOON + HOUR)],
            PersonRequest("Waitlist Joined", NOON + HOUR, True),
            id="liked, then asked",
        ),
        pytest.param(
            [an_ask(), an_ask(NOON + HOUR, hint=True)],
            PersonRequest("Waitlist Joined", NOON, True),
            id="proof goes before a hint",
        ),
        pytest.param(
            [
                an_ask(),
                an_ask(NOON + HOUR, name="Waitlist Left"),
                an_ask(NOON + 2 * HOUR, name="Product Liked"),
            ],
            None,
            id="asked, left, liked",
        ),
        pytest.param(
            [an_ask(), an_ask(NOON + HOUR, name="Waitlist Left"), an_ask(NOON + 2 * HOUR, hint=True)],
            PersonRequest("Waitlist Joined", NOON + 2 * HOUR, False),
            id="asked with proof, left, asked without",
        ),
    ],
)
def test_a_watch_is_asked_for_when_a_request_began_it(
    events: list[Event], asked: PersonRequest | None
) -> None:
    messages, requests = decide(RESTOCK, *events, a_restock(NOON + DAY))
    assert requests == [asked]
    assert [message.asked_for for message in messages] == [asked is not None]


def test_one_request_is_one_run() -> None:
    _, requests = decide(
        RESTOCK,
        an_ask(),
        a_restock(NOON + DAY),
        an_ask(NOON + 2 * DAY, name="Product Liked"),
        a_restock(NOON + 3 * DAY),
    )
    assert [request is not None for request in requests] == [True, False]


@pytest.mark.parametrize(
    ("event", "is_asked"),
    [
        (an_event("Quote Requested"), True),
        (an_event("Product Viewed"), False),
    ],
)
def test_an_event_of_requests_is_the_evidence(event: Event, is_asked: bool) -> None:
    measure = a_measure("lead/any/quote", trigger=OnEvent((event.name,)), asked_for=True)
    messages, _ = decide(measure, event)
    assert [message.asked_for for message in messages] == [is_asked]


def test_a_measure_that_does_not_say_so_is_not_asked_for() -> None:
    messages, requests = decide(
        a_measure("lead/any/quote", trigger=OnEvent(("Quote Requested",))), an_event("Quote Requested")
    )
    assert requests == [PersonRequest("Quote Requested", NOON, True)]
    assert [message.asked_for for message in messages] == [False]


def test_the_request_is_answered_by_the_first_mail_alone() -> None:
    steps = (MailStep("quote", "quote"), MailStep("reminder", "reminder"))
    playbook = a_playbook(a_measure(QUOTE.path, trigger=QUOTE.trigger, asked_for=True, steps=steps))
    contact = a_contact(playbook)
    first = advance(contact, [an_event("Quote Requested")], now=NOON, playbook=playbook)
    sent = Settled(1, QUOTE.path, "", "quote", "sent", NOON + HOUR)
    second = advance(first.contact, [sent], now=NOON + HOUR, playbook=playbook)
    assert [(m.step, m.asked_for) for m in (*first.messages, *second.messages)] == [
        ("quote", True),
        ("reminder", False),
    ]


def test_the_order_of_arrival_changes_nothing() -> None:
    events = [an_ask(), an_ask(NOON + HOUR, name="Waitlist Left"), an_ask(NOON + 2 * HOUR, hint=True)]
    playbook = a_playbook(objects=_watched())
    kept = [
        advance(
            a_contact(playbook), order, now=NOON + DAY, playbook=playbook, mail=False
        ).contact.memory.requests
        for order in permutations(events)
    ]
    assert kept == [kept[0]] * 6
    first, second = (
        advance(a_contact(playbook), part, now=NOON + DAY, playbook=playbook, mail=False).contact
        for part in (events[1:], events[:1])
    )
    assert combine_histories(first, second, playbook).memory.requests == kept[0]
    assert kept[0]["product"]["kettle"].hint == (NOON + 2 * HOUR, "Waitlist Joined")


@pytest.mark.parametrize("has_requests", [True, False])
@pytest.mark.parametrize(
    "end", [a_restock(NOON + DAY), an_ask(NOON + DAY, name="Waitlist Left")], ids=["answered", "given up"]
)
def test_an_older_request_that_arrives_after_the_end_begins_no_watch(end: Event, has_requests: bool) -> None:
    requests = a_playbook().requests if has_requests else ()
    playbook = a_playbook(objects=_watched(), requests=requests)
    late, again = an_ask(NOON + HOUR), an_ask(NOON + 2 * DAY)
    late.received_at = NOON + 2 * DAY
    for events, begun in (((late,), [NOON + HOUR]), ((an_ask(), end, late), [NOON])):
        result = advance(a_contact(playbook), events, now=NOON + 2 * DAY, playbook=playbook)
        assert [change.at for change in result.watches if change.is_start] == begun
    events = (an_ask(), end, late)
    assert open_watches(events, playbook) == {}
    assert open_watches((*events, again), playbook) == {("product", "kettle"): again.occurred_at}


def test_an_end_that_one_of_two_people_knows_holds_for_both() -> None:
    playbook = a_playbook(objects=_watched())
    asked, left = an_ask(), an_ask(NOON + HOUR, name="Waitlist Left")
    parts = [
        advance(a_contact(playbook), [event], now=NOON + DAY, playbook=playbook).contact
        for event in (asked, left)
    ]
    together = advance(a_contact(playbook), [asked, left], now=NOON + DAY, playbook=playbook, mail=False)
    merged = merge_states(parts[0], parts[1], together.contact, now=NOON + DAY, playbook=playbook)
    assert merged.advance.watches == [WatchChange("product", "kettle", left.occurred_at, is_start=False)]
