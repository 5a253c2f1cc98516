"""Milestones are celebrated once per key, and the newest evidence decides the persona."""

from itertools import permutations

from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.journey.position import active_holds
from nurture.domain.playbook import Milestone, Persona, Playbook
from tests.domain.build import NOON, a_contact, a_playbook, an_event, on


def milestones(*events: Event, playbook: Playbook | None = None) -> list[tuple[str, str, int]]:
    """Return (name, key, instant) of each milestone that the events reach."""
    playbook = playbook or a_playbook()
    result = advance(a_contact(playbook), events, now=NOON + 100, playbook=playbook)
    return [(milestone.name, milestone.key, milestone.at) for milestone in result.milestones]


def test_only_the_second_order_reaches_the_milestone_of_the_second() -> None:
    playbook = a_playbook(milestones=(Milestone("second_order", on("Order Completed"), nth=2),))
    orders = [an_event("Order Completed", NOON + day, order_id=f"o{day}") for day in (1, 2, 3)]
    assert milestones(*orders[:1], playbook=playbook) == []
    assert milestones(*orders, playbook=playbook) == [("second_order", "", NOON + 2)]


def test_each_order_is_delivered_once() -> None:
    assert milestones(
        an_event("Order Delivered", NOON + 1, order_id="o1"),
        an_event("Order Delivered", NOON + 2, order_id="o2"),
        an_event("Order Delivered", NOON + 3, order_id="o1"),
    ) == [("delivered", "o1", NOON + 1), ("delivered", "o2", NOON + 2)]


def persona(playbook: Playbook, *events: Event) -> object:
    """Return the persona that the events give."""
    return advance(a_contact(playbook), events, now=NOON + 100, playbook=playbook).contact.facts.get(
        "persona"
    )


def test_the_newest_evidence_decides_the_persona_in_any_order_of_arrival() -> None:
    playbook = a_playbook(personas=(Persona("home", (on("Read"),)), Persona("office", (on("Asked"),))))
    assert persona(playbook, an_event("Nothing")) is None
    events = [an_event("Asked", NOON), an_event("Read", NOON + 1), an_event("Asked", NOON + 2)]
    for order in permutations(events):
        assert persona(playbook, *order) == "office"


# ---- holds -----------------------------------------------------------------------------------------------


def holds_after(*events: Event) -> set[tuple[str, int]]:
    """Return (hold, start) of the holds in force after the events, the same in every order of arrival."""
    playbook = a_playbook()
    found = set()
    for order in permutations(events):
        contact = advance(a_contact(playbook), order, now=NOON + 100, playbook=playbook).contact
        holds = active_holds(contact, now=NOON + 100, playbook=playbook)
        found.add(frozenset((hold.hold.name, hold.since) for hold in holds))
    assert len(found) == 1
    return set(found.pop())


def test_an_end_without_a_key_ends_the_starts_before_it_and_none_after_it() -> None:
    first, second = (an_event("Support Case Opened", NOON + at, case_id=f"k{at}") for at in (1, 3))
    closed = an_event("Support Case Closed", NOON + 2)
    assert holds_after(first, closed) == set()
    assert holds_after(first, closed, second) == {("open_case", NOON + 3)}


def test_a_start_without_a_key_is_ended_only_by_an_end_without_one() -> None:
    opened = an_event("Support Case Opened", NOON + 1)
    keyed = an_event("Support Case Closed", NOON + 2, case_id="k1")
    assert holds_after(opened, keyed) == {("open_case", NOON + 1)}
    assert holds_after(opened, keyed, an_event("Support Case Closed", NOON + 3)) == set()
