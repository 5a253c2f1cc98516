"""Laws of `advance` over random histories: a left fold, no matter the order of arrival, no alarm slept through."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import Condition, Term, parse
from nurture.domain.contact import Advance, Contact
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED, Event
from nurture.domain.instant import MINUTE
from nurture.domain.journey.advance import Happening, advance
from nurture.domain.measure import (
    Branch,
    Case,
    EmitStep,
    EndTopicStep,
    Exit,
    LocalSlot,
    MailStep,
    NotifyStep,
    Once,
    OnCondition,
    OnConsent,
    OnDate,
    OnEntityDate,
    OnEvent,
    OnMilestone,
    OnMoment,
    OnObject,
    OnQuiet,
    OnSchedule,
    Reference,
    WaitFor,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilMoment,
    WaitUntilSlot,
)
from nurture.domain.moments import EasterDay, WeekdayOfMonth
from nurture.domain.playbook import (
    BandFact,
    EntityMatch,
    ObjectKind,
    Playbook,
    PublishedVersions,
    RhythmFact,
    Topic,
    UsualInterval,
    WatchList,
)
from tests.domain.build import (
    DAY,
    HOUR,
    NOON,
    VOCABULARY,
    a_contact,
    a_measure,
    a_playbook,
    an_event,
    on,
    when,
)
from tests.rig.examples import examples

STEPS = VOCABULARY.with_terms(
    {f"steps.{name}.outcome": Term(f"steps.{name}.outcome", "text") for name in ("w", "one")}
)


def asks(text: str) -> Condition:
    """Return a condition of a step, which may ask how a step before ended."""
    return parse(text, STEPS)


RISK = BandFact("risk", "band", "text", (on(VALUE_PUBLISHED),), bands=(("low", 0), ("high", 500_000)))
#: An order by its cart, whose interval is published on two days.
LAPSED = RhythmFact("lapsed_at", (EntityMatch("cart"),), 2, UsualInterval("cart_id", "days", 2 * DAY), 3)


def risky(text: str) -> Condition:
    """Return a condition that may ask for the published risk."""
    return parse(text, VOCABULARY.with_terms({"risk": Term("risk", "text")}))


WATCHERS = (
    WatchList(
        "product", "product_id", "asked", ("Waitlist Joined",), ended_by=("Waitlist Left",), asked_for=True
    ),
    WatchList("product", "product_id", "carts", lines_of="cart", ended_by=("Product Removed",)),
)


def everything() -> Playbook:
    """Return a programme in which every kind of trigger, wait and exit occurs."""
    return a_playbook(
        a_measure("lead/any/welcome", trigger=OnEvent(("Signed Up",)), series=True, exits=(Exit("Email Replied"),),
                  steps=(MailStep("one", "one"), WaitFor("w", 2 * DAY), MailStep("two", "two"))),
        a_measure("lead/any/course", trigger=OnEvent(("Topic Confirmed",)), series=True,
                  once=Once(again_after=20 * DAY),
                  steps=(WaitUntilSlot("w", LocalSlot(9 * 60, frozenset({0, 3}))), MailStep("one", "one"))),
        a_measure("lead/convert/abandoned_cart", trigger=OnQuiet("cart", 2 * HOUR), entity="cart",
                  once=Once("entity", gap=7 * DAY), exits=(Exit("Order Completed"),)),
        a_measure("customer/any/abandoned_cart", trigger=OnQuiet("cart", 3 * HOUR), entity="cart", once=Once("entity")),
        a_measure("customer/any/confirmation", trigger=OnEvent(("Order Completed",)), once=Once("order_id")),
        a_measure("customer/any/goal", trigger=OnMilestone("first_order"),
                  steps=(WaitUntilEvent("w", ("Signed In",), 5 * DAY), MailStep("one", "one"))),
        a_measure("customer/any/second_order", trigger=OnCondition(),
                  audience=when('orders == 1 and silent_days("Order Completed", "Signed In") > 30')),
        a_measure("lead/any/looking", trigger=OnCondition(), audience=when("views >= 2"), once=Once("day")),
        a_measure("lead/any/digest", trigger=OnSchedule(LocalSlot(10 * 60, frozenset({1}))), once=Once("day"),
                  audience=when("topics >= 1")),
        a_measure("lead/any/birthday", trigger=OnDate("birthday", yearly=True, minute_of_day=9 * 60),
                  once=Once("year")),
        a_measure("lead/any/appointment", trigger=OnEvent(("Appointment Booked", "Appointment Changed")),
                  entity="appointment", once=Once("entity", again_on=("Appointment Changed",)),
                  exits=(Exit("Appointment Cancelled", "appointment_id"),),
                  steps=(WaitUntilDate("w", "entity.starts_at", -DAY), MailStep("one", "one"))),
        a_measure("any/greeting", trigger=OnMoment("fair", 9 * 60), once=Once("occasion"), audience=when("topics >= 1"),
                  steps=(MailStep("one", "one"), WaitUntilMoment("w", "easter"), MailStep("two", "two"))),
        a_measure("lead/any/visit", trigger=OnEntityDate("appointment", "starts_at", -2 * DAY, 9 * 60),
                  entity="appointment", while_open=True, once=Once("occasion"), handover="customer/any/visit",
                  steps=(MailStep("one", "one"), WaitUntilDate("w", "entity.starts_at", -DAY),
                         MailStep("two", "two"))),
        a_measure("customer/any/visit", trigger=OnEntityDate("appointment", "starts_at", HOUR),
                  entity="appointment", once=Once("occasion")),
        a_measure("lead/any/care", trigger=OnEvent(("Appointment Booked",)), entity="appointment", while_open=True,
                  once=Once("day", again_on=("Appointment Booked",)), handover="customer/any/care",
                  exits=(Exit(None, reason="calm", when=when('silent_days("Signed In", "Signed Up") >= 3')),
                         Exit("Plan Changed", when=when("plan == 'gold'"))),
                  steps=(WaitFor("w", 2 * DAY), MailStep("one", "one"), WaitFor("x", 2 * DAY), MailStep("two", "two"))),
        a_measure("customer/any/care", trigger=OnConsent("news"), entity="appointment", once=Once(again_after=3 * DAY),
                  steps=(WaitFor("w", 3 * DAY), MailStep("one", "one"))),
        a_measure("lead/any/branching", trigger=OnEvent(("Signed Up", "Product Viewed")), once=Once("day"),
                  exits=(Exit(None, reason="rested", when=asks('steps.w.outcome == "timeout" and views >= 2')),),
                  handover="customer/any/branching",
                  steps=(WaitUntilEvent("w", ("Signed In",), 2 * DAY),
                         Branch("b", (Case(asks('steps.w.outcome == "event"'), 1), Case(asks("plan == 'gold'"), 3),
                                      Case(None, 1))),
                         EmitStep("note", "Signed In", (("run", Reference("run_id")), ("n", 1))),
                         EndTopicStep("end", "news"),
                         NotifyStep("tell", ("mira",), "brief", (1, 0)),
                         MailStep("one", "one"),
                         WaitFor("x", DAY), Branch("c", (Case(asks("views >= 1"), 1),)), MailStep("two", "two"),
                         WaitFor("y", 3 * DAY),
                         MailStep("three", "three"))),
        a_measure("customer/any/branching", trigger=OnEvent(("Nothing",)),
                  steps=(MailStep("one", "one", asks('steps.w.outcome == "event"')), WaitFor("x", 9 * HOUR),
                         MailStep("four", "four", asks('steps.one.outcome != "sent"')))),
        a_measure("lead/any/watching", once=Once("event"), asked_for=True,
                  trigger=OnObject("product", ("Product Back In Stock",), lists=("asked", "carts")),
                  steps=(WaitFor("w", HOUR), MailStep("one", "one"))),
        a_measure("any/at_risk", trigger=OnCondition(), audience=risky('risk == "high"'),
                  once=Once(again_after=3 * DAY), exits=(Exit(None, reason="calm", when=risky('risk == "low"')),),
                  steps=(MailStep("one", "one"), WaitFor("w", 2 * DAY), MailStep("two", "two"))),
        a_measure("any/lapsed", trigger=OnDate("lapsed_at"), once=Once("day")),
        a_measure("any/waiting", trigger=OnObject("product", ("Product Back In Stock",)), once=Once("event")),
        facts={**a_playbook().facts, "risk": RISK, "lapsed_at": LAPSED},
        published=PublishedVersions({("days", "c1"): [(NOON + DAY, 3_000_000), (NOON + 9 * DAY, 9_000_000)]}),
        topics={"news": Topic("news")},
        objects={"product": ObjectKind("product", "product_id", ("Product Back In Stock",), ("Waitlist Joined",),
                                       ("Waitlist Left",), ("Product Back In Stock",), lists=WATCHERS)},
        moments={"fair": WeekdayOfMonth(3, 2, 3), "easter": EasterDay(-2)},
    )  # fmt: skip


PLAYBOOK = everything()

KINDS: Sequence[tuple[str, dict[str, object]]] = (
    ("Signed Up", {"traits": {"birthday": "02-29", "timezone": "Europe/Berlin"}}),
    ("Identified", {"traits": {"timezone": "Pacific/Kiritimati", "birthday": "1990-03-20"}}),
    ("Signed In", {}),
    ("Email Replied", {}),
    ("Topic Confirmed", {"topic": "news"}),
    ("Unsubscribed", {"topic": "news"}),
    ("Article Read", {"category": "tea"}),
    ("Article Read", {"category": "coffee"}),
    ("Product Viewed", {}),
    ("Waitlist Joined", {"product_id": "p1"}),
    ("Waitlist Left", {"product_id": "p1"}),
    ("Product Back In Stock", {"product_id": "p1", "object_kind": "product", "kind": "object"}),
    (
        "Product Back In Stock",
        {"product_id": "p1", "kind": "object", "context": {"lists": ["asked", "carts"]}},
    ),
    ("Product Added", {"cart_id": "c1", "product_id": "p1"}),
    ("Product Added", {"cart_id": "c2", "product_id": "p2"}),
    ("Product Removed", {"cart_id": "c1", "product_id": "p1"}),
    ("Order Completed", {"order_id": "o1", "revenue": 10.5}),
    ("Order Completed", {"order_id": "o2", "cart_id": "c1", "revenue": "3"}),
    ("Order Cancelled", {"order_id": "o1"}),
    ("Order Cancelled", {"order_id": "o2"}),
    ("Survey Answered", {"score": 9}),
    ("Survey Answered", {"score": 3}),
    ("Support Case Opened", {"case_id": "k1"}),
    ("Support Case Closed", {"case_id": "k1"}),
    ("Plan Changed", {"plan": "gold"}),
    ("Plan Changed", {"plan": 7}),
    ("Appointment Booked", {"appointment_id": "a1", "starts_at": "2026-03-12T09:00:00Z"}),
    ("Appointment Changed", {"appointment_id": "a1", "starts_at": "2026-03-25T09:00:00Z"}),
    ("Appointment Cancelled", {"appointment_id": "a1"}),
    (VALUE_PUBLISHED, {"source": BY_MODEL, "value": "0.9"}),
    (VALUE_PUBLISHED, {"source": BY_MODEL, "value": "0.1"}),
    (VALUE_PUBLISHED, {"source": BY_MODEL, "value": ""}),
    (VALUE_PUBLISHED, {"value": "0.9"}),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw events in the order of their arrival, some of them late."""
    arrived = NOON
    events = []
    for place in range(draw(st.integers(1, 9))):
        name, properties = draw(st.sampled_from(KINDS))
        arrived += draw(st.sampled_from((0, 1, 30 * MINUTE, 5 * HOUR, DAY, 9 * DAY, 40 * DAY)))
        late = draw(st.sampled_from((0, 0, 0, HOUR, 2 * DAY)))
        event = an_event(name, arrived - late, received=arrived, id=f"e{place}", **properties)
        if name == VALUE_PUBLISHED:
            event = replace(event, properties={**event.properties, "name": "risk"})
        events.append(event)
    return events


def picture(contact: Contact) -> tuple[object, ...]:
    """Return everything about a contact that anybody could notice."""
    return (
        contact.track, contact.stage, contact.stage_since, contact.zone, contact.facts, contact.memory,
        contact.runs, contact.clock, contact.wake_at,
    )  # fmt: skip


def decided(*results: Advance) -> list[tuple[object, ...]]:
    mails = [
        (m.measure, m.run_key, m.step, m.due_at, m.valid_until) for result in results for m in result.messages
    ]
    watches = tuple(change for result in results for change in result.watches)
    lines = tuple(change for result in results for change in result.watched_lines)
    return [*mails, *((action,) for result in results for action in result.actions), watches, lines]


def a_cart_and_then_a_waitlist() -> list[Event]:
    """Return two events of which the first changes watched lines and the second a watch."""
    added = an_event("Product Added", NOON, id="e0", cart_id="c1", product_id="p1")
    return [added, an_event("Waitlist Joined", NOON, id="e1", product_id="p1")]


@given(histories(), st.integers(0, 9))
@example(a_cart_and_then_a_waitlist(), 1)
@settings(max_examples=examples(150), deadline=None)
def test_a_batch_is_the_same_as_its_events_one_by_one(events: list[Event], place: int) -> None:
    cut = min(place, len(events))
    end = events[-1].received_at + 50 * DAY
    whole = advance(a_contact(PLAYBOOK), events, now=end, playbook=PLAYBOOK)
    middle = events[cut - 1].received_at if cut else NOON
    first = advance(a_contact(PLAYBOOK), events[:cut], now=middle, playbook=PLAYBOOK)
    second = advance(first.contact, events[cut:], now=end, playbook=PLAYBOOK)
    assert picture(second.contact) == picture(whole.contact)
    assert decided(first, second) == decided(whole)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=examples(150), deadline=None)
def test_shuffled_events_give_the_same_facts_track_and_stage(events: list[Event], random: object) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    places = []
    for order in (events, shuffled):
        result = advance(a_contact(PLAYBOOK), order, now=NOON + 999 * DAY, playbook=PLAYBOOK, mail=False)
        contact = result.contact
        places.append((contact.track, contact.stage, contact.zone, contact.facts))
    assert places[0] == places[1]


@given(histories())
@settings(max_examples=examples(45), deadline=None)
def test_no_alarm_is_slept_through(events: list[Event]) -> None:
    """Looking anew at everything every hour finds nothing that the alarm clock would have missed."""
    end = events[-1].received_at + 35 * DAY
    asleep = advance(a_contact(PLAYBOOK), events, now=end, playbook=PLAYBOOK)
    begun = advance(a_contact(PLAYBOOK), events, now=events[-1].received_at, playbook=PLAYBOOK)
    results, contact = [begun], begun.contact
    for at in range(events[-1].received_at, end + 1, HOUR):
        _forget_answers(contact)
        results.append(advance(contact, [an_event("Clock Struck", at)], now=at, playbook=PLAYBOOK))
        contact = results[-1].contact
    results.append(advance(contact, [], now=end, playbook=PLAYBOOK))
    assert decided(*results) == decided(asleep)


def _forget_answers(contact: Contact) -> None:
    """Let the next event judge every rule, and not only those that read what it changes."""
    contact.memory.has_old_answers = True
    contact.wake_at = contact.clock


@given(histories())
@settings(max_examples=examples(60), deadline=None)
def test_judging_what_changed_decides_the_same_as_judging_everything(events: list[Event]) -> None:
    sides = []
    for judges_everything in (False, True):
        contact, results = a_contact(PLAYBOOK), []
        for event in events:
            if judges_everything:
                _forget_answers(contact)
            results.append(advance(contact, [event], now=event.received_at, playbook=PLAYBOOK))
            contact = results[-1].contact
        sides.append((picture(contact), decided(*results)))
    assert sides[0] == sides[1]


@given(histories())
@settings(max_examples=examples(100), deadline=None)
def test_one_message_a_decision_and_never_the_other_track(events: list[Event]) -> None:
    happenings: list[Happening] = list(events)
    result = advance(a_contact(PLAYBOOK), happenings, now=NOON + 400 * DAY, playbook=PLAYBOOK)
    keys = [(m.measure, m.run_key, m.step) for m in result.messages]
    assert len(keys) == len(set(keys))
    planned = [(run.measure, run.key, step) for run in result.runs.values() for step in run.decided]
    assert sorted(planned) == sorted(keys)
    for message in result.messages:
        assert message.track in (message.measure.split("/")[0], "any")
