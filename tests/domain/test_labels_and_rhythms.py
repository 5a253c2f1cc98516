"""Labels, rhythms and supplies: the same in any order of arrival, and for two parts of a history combined."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from nurture.domain.contact import Contact
from nurture.domain.entities import entity_of
from nurture.domain.event import OWN_PAGES, Event
from nurture.domain.facts import empty, fold
from nurture.domain.instant import DAY, HOUR, to_iso
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from nurture.domain.measure import OnDate
from nurture.domain.playbook import (
    DueRule,
    EntityKind,
    EntityMatch,
    EventMatch,
    LabelEvidence,
    LabelFact,
    LineRule,
    Reversal,
    RhythmFact,
)
from tests.domain.build import NOON, a_measure, a_playbook, an_event, on

ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed"),),
    lines=LineRule(("product_id",), source="products"),
    reversed_by=(Reversal(EventMatch(("Order Cancelled",))),),
    keep=50,
    remember=400 * DAY,
)
SUPPLY = EntityKind("supply", ("product_id",), lines_of="order", due=DueRule(40 * DAY, 3), keep=10)
PERSONA = LabelFact(
    "persona",
    (
        LabelEvidence(on("Need Told", where="score >= 5"), "office", 3),
        LabelEvidence(on("Office Read"), "office"),
        LabelEvidence(on("Home Read"), "home"),
    ),
    otherwise="home",
)
LAPSED = RhythmFact("lapsed_at", (EntityMatch("order"),), times=3, usual=60 * DAY, weight=3)
PLAYBOOK = a_playbook(
    facts={fact.name: fact for fact in (PERSONA, LAPSED)},
    entities={kind.name: kind for kind in (ORDER, SUPPLY)},
)


def folded(events: Iterable[Event]) -> Contact:
    contact = empty(1, first_seen_at=NOON, playbook=PLAYBOOK)
    for event in events:
        fold(contact, event, PLAYBOOK)
    return contact


def order(key: str, day: int, *products: str) -> Event:
    rows = [{"product_id": name, "quantity": 1, "price": 9} for name in products]
    return an_event("Order Completed", NOON + day * DAY, id=key, order_id=key, products=rows)


def cancelled(key: str, day: int) -> Event:
    return an_event("Order Cancelled", NOON + day * DAY, id=f"no {key}", order_id=key)


def in_any_order(events: Sequence[Event]) -> Contact:
    """Return the contact that these events make, and check that every order and every two parts make the same."""
    expected = folded(events)
    for shuffled in permutations(events):
        found = folded(shuffled)
        assert (found.facts, found.memory.entities) == (expected.facts, expected.memory.entities)
    for cut in range(1, len(events)):
        both = combine_histories(folded(events[:cut]), folded(events[cut:]), PLAYBOOK)
        assert {name: both.facts.get(name) for name in PLAYBOOK.facts} == {
            name: expected.facts.get(name) for name in PLAYBOOK.facts
        }
    return expected


def test_an_answer_is_stronger_than_later_clicks() -> None:
    events = [
        an_event("Need Told", NOON, id="1", score=7),
        an_event("Home Read", NOON + DAY, id="2"),
        an_event("Home Read", NOON + 2 * DAY, id="3"),
    ]
    assert in_any_order(events).facts["persona"] == "office"


def test_of_equal_strength_the_newest_decides() -> None:
    events = [an_event("Office Read", NOON + HOUR, id="1"), an_event("Home Read", NOON, id="2")]
    assert in_any_order(events).facts["persona"] == "office"


def test_the_persons_own_word_on_our_page_is_the_strongest() -> None:
    own = an_event("Identified", NOON, id="1", kind="identify", source=OWN_PAGES, traits={"persona": "home"})
    answer = an_event("Need Told", NOON + DAY, id="2", score=9)
    assert in_any_order([own, answer]).facts["persona"] == "home"
    by_others = an_event(
        "Identified", NOON, id="1", kind="identify", source="shop", traits={"persona": "home"}
    )
    assert in_any_order([by_others, answer]).facts["persona"] == "office"
    no_text = an_event(
        "Identified", NOON, id="1", kind="identify", source=OWN_PAGES, traits={"persona": "boss"}
    )
    assert in_any_order([no_text, answer]).facts["persona"] == "office"


def test_without_evidence_a_label_is_its_else() -> None:
    assert folded([an_event("Something", NOON)]).facts["persona"] == "home"
    unmet = an_event("Need Told", NOON, score=1)
    assert folded([unmet]).facts["persona"] == "home"


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        # One purchase: the usual interval alone.
        ((0,), 60),
        # 3 usual ones of 60 days and one of 20 of their own.
        ((0, 20), (180 + 20) / 4),
        ((0, 20, 40, 60), (180 + 60) / 6),
    ],
)
def test_a_rhythm_is_drawn_toward_the_usual_interval(days: tuple[int, ...], interval: float) -> None:
    contact = in_any_order([order(f"o{day}", day) for day in days])
    assert contact.facts["lapsed_at"] == NOON + days[-1] * DAY + 3 * int(interval * DAY)


def test_a_reversed_order_has_no_part_in_a_rhythm() -> None:
    contact = in_any_order([order("a", 0), order("b", 20), cancelled("b", 21)])
    assert contact.facts["lapsed_at"] == NOON + 180 * DAY
    assert "lapsed_at" not in in_any_order([order("a", 0), cancelled("a", 1)]).facts


def test_a_measure_starts_when_the_rhythm_is_over_and_a_new_order_moves_it() -> None:
    measure = a_measure("any/missed", trigger=OnDate("lapsed_at"))
    playbook = replace(PLAYBOOK, measures={measure.path: measure})
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    over = NOON + 180 * DAY
    contact = advance(contact, [order("a", 0)], now=over - 1, playbook=playbook).contact
    assert not advance(contact, [], now=over - 1, playbook=playbook).messages
    assert advance(contact, [], now=over, playbook=playbook).messages
    moved = advance(contact, [order("b", 20)], now=NOON + 169 * DAY, playbook=playbook)
    assert not moved.messages
    assert moved.contact.wake_at == NOON + 20 * DAY + 150 * DAY


def test_a_supply_is_one_thing_for_each_product_bought() -> None:
    contact = in_any_order([order("a", 0, "beans", "cup"), order("b", 30, "beans"), order("c", 50, "tea")])
    beans = entity_of(contact, "supply", "beans")
    assert beans is not None
    assert beans.fields["times"] == 2
    assert beans.fields["last_at"] == to_iso(NOON + 30 * DAY)
    # (3 * 40 + 30) / 4 days after the last.
    assert beans.fields["due_at"] == to_iso(NOON + 30 * DAY + int(37.5 * DAY))
    assert set(contact.memory.entities["supply"]) == {"beans", "cup", "tea"}
    assert contact.facts["supply.ever"] == 3


def test_a_supply_goes_with_the_order_that_was_reversed() -> None:
    contact = in_any_order([order("a", 0, "beans"), order("b", 30, "beans", "cup"), cancelled("b", 31)])
    assert set(contact.memory.entities["supply"]) == {"beans"}
    beans = entity_of(contact, "supply", "beans")
    assert beans is not None
    assert beans.fields["times"] == 1
