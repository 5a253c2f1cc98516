"""The number (SEQUENCE) of a calendar entry: it counts the events of the appointment, in any order of arrival."""

from dataclasses import replace
from itertools import permutations

import pytest

from nurture.domain.contact import Contact, Run
from nurture.domain.event import Event
from nurture.domain.facts import fold, view
from nurture.domain.instant import DAY, HOUR
from nurture.domain.journey.advance import advance
from nurture.domain.measure import Calendar, MailStep, Once, OnEvent, Track
from nurture.domain.playbook import EntityKind, EventMatch, Playbook, Reversal
from tests.domain.build import NOON, a_contact, a_measure, a_playbook, an_event

NAMES = ("Appointment Booked", "Appointment Changed")
ENTRY = Calendar("REQUEST", "{{ entity_key }}", "{{ entity.starts_at }}", "{{ entity.ends_at }}", "Tasting")


def visits(*, reversed_by_cancelling: bool = True) -> Playbook:
    """Return a programme whose appointments are cancelled by a reversal, or by closing them."""
    matches = tuple(EventMatch((name,)) for name in NAMES)
    cancelled = EventMatch(("Appointment Cancelled",))
    kind = EntityKind(
        "appointment",
        ("appointment_id",),
        of=matches,
        reversed_by=(Reversal(cancelled),) if reversed_by_cancelling else (),
        closed_by={} if reversed_by_cancelling else {"Appointment Cancelled": "key"},
    )
    measures = [
        a_measure(
            f"{track}/any/appointment", trigger=OnEvent(NAMES), entity="appointment", once=Once("entity"),
            steps=(MailStep("one", "one", calendar=ENTRY),),
        )
        for track in ("lead", "customer")
    ]  # fmt: skip
    return a_playbook(*measures, entities={"appointment": kind})


def a_run(playbook: Playbook, track: Track = "lead") -> Run:
    """Return the run that the booking of appointment a1 starts."""
    contact = replace(a_contact(playbook), track=track)
    booked = an_event("Appointment Booked", NOON, appointment_id="a1")
    [run] = advance(contact, [booked], now=NOON, playbook=playbook).runs.values()
    return run


def number(contact: Contact, playbook: Playbook, track: Track = "lead") -> int:
    """Return the number that an entry of appointment a1 has now."""
    found: int = view(contact, playbook, a_run(playbook, track), now=0)["sequence"]
    return found


def events() -> list[Event]:
    return [
        an_event("Appointment Booked", NOON, appointment_id="a1"),
        an_event("Appointment Changed", NOON + HOUR, appointment_id="a1"),
        an_event("Appointment Changed", NOON + DAY, appointment_id="a1"),
        an_event("Appointment Cancelled", NOON + 2 * DAY, appointment_id="a1"),
    ]


@pytest.mark.parametrize("reversed_by_cancelling", [True, False])
def test_each_event_of_the_appointment_raises_the_number(reversed_by_cancelling: bool) -> None:
    playbook = visits(reversed_by_cancelling=reversed_by_cancelling)
    contact = a_contact(playbook)
    numbers = []
    for event in events():
        fold(contact, event, playbook)
        numbers.append(number(contact, playbook))
    assert numbers == [0, 1, 2, 3]
    # The measure of the other track gives the entry the same number.
    assert number(contact, playbook, "customer") == 3


def test_the_order_of_arrival_and_repeated_words_change_no_number() -> None:
    playbook = visits()
    for order in permutations(events()):
        contact = a_contact(playbook)
        for event in (*order, *order):
            fold(contact, event, playbook)
        assert number(contact, playbook) == 3


def test_an_older_change_that_arrives_late_never_lowers_the_number() -> None:
    playbook = visits()
    contact = a_contact(playbook)
    booked, late, changed, _ = events()
    for event in (booked, changed):
        fold(contact, event, playbook)
    before = number(contact, playbook)
    fold(contact, late, playbook)
    assert number(contact, playbook) >= before


def test_another_appointment_has_a_number_of_its_own() -> None:
    playbook = visits()
    contact = a_contact(playbook)
    for event in events():
        fold(contact, event, playbook)
    fold(contact, an_event("Appointment Booked", NOON, appointment_id="a2"), playbook)
    assert number(contact, playbook) == 3
