"""The rules that an event makes `advance` look at: those that read what it changes, however many there are."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.conditions import Condition
from nurture.domain.contact import Contact
from nurture.domain.entities import is_open
from nurture.domain.event import Event
from nurture.domain.event_index import AffectedParts, index_of
from nurture.domain.journey import working_state
from nurture.domain.journey.advance import advance
from nurture.domain.measure import (
    Exit,
    LocalSlot,
    MailStep,
    Measure,
    Once,
    OnCondition,
    OnDate,
    OnEvent,
    OnQuiet,
    OnSchedule,
    WaitFor,
)  # fmt: skip
from nurture.domain.memory import Entity
from nurture.domain.playbook import EntityKind, Playbook
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, when

#: Condition -> how often it was looked at.
Looks = Counter[str]


def counted(text: str, looks: Looks) -> Condition:
    """Return the condition; each look at it is counted."""
    condition = when(text)

    def count(read: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any) -> Any:
            looks[text] += 1
            return read(*arguments)

        return look

    return replace(condition, _answer=count(condition._answer), _forecast=count(condition._forecast))


def a_large_playbook(count: int, looks: Looks) -> Playbook:
    """Return a programme with so many measures of each kind that every event might concern."""
    measures: list[Measure] = []
    for place in range(count):
        for name, trigger, audience in (
            ("still", OnCondition(), f"plan == 'p{place}'"),
            ("moving", OnCondition(), f"plan == 'p{place}' and silent_days(\"Signed In\") > 30"),
            ("weekly", OnSchedule(LocalSlot(600, frozenset({1}))), f"trials > {place}"),
            ("dated", OnDate("renewal_at", -DAY), f"orders > {place}"),
        ):
            path = f"lead/any/{name}_{place}"
            measures.append(
                a_measure(path, trigger=trigger, audience=counted(audience, looks), once=Once("day"))
            )
        elsewhere = counted(f"views > {place}", looks)
        measures.append(a_measure(f"customer/any/other_{place}", trigger=OnCondition(), audience=elsewhere))
    return a_playbook(*measures)


def looks_at(event: Event, contact: Contact, playbook: Playbook, looks: Looks) -> int:
    """Return how many looks at conditions the event takes; the contact is advanced in place."""
    looks.clear()
    advance(contact, [event], now=event.received_at, playbook=playbook, in_place=True)
    return looks.total()


def a_known_contact(playbook: Playbook) -> Contact:
    first = an_event("Signed In", NOON, id="first")
    return advance(a_contact(playbook), [first], now=NOON, playbook=playbook).contact


@pytest.mark.parametrize("count", [1, 20])
def test_an_event_that_no_rule_reads_looks_at_none(count: int) -> None:
    looks: Looks = Counter()
    playbook = a_large_playbook(count, looks)
    contact = a_known_contact(playbook)
    assert looks_at(an_event("Email Opened", NOON + HOUR), contact, playbook, looks) == 0


@pytest.mark.parametrize("count", [1, 20])
def test_rules_of_another_track_are_not_looked_at(count: int) -> None:
    looks: Looks = Counter()
    playbook = a_large_playbook(count, looks)
    contact = a_known_contact(playbook)
    looks_at(an_event("Product Viewed", NOON + HOUR), contact, playbook, looks)
    assert not any(text.startswith("views") for text in looks)


def test_schedules_that_come_later_than_a_run_are_not_looked_at() -> None:
    looks: Looks = Counter()
    weekly = [
        a_measure(
            f"lead/any/weekly_{place}",
            trigger=OnSchedule(LocalSlot(600, frozenset({1}))),
            audience=counted(f"trials > {place}", looks),
            once=Once("day"),
        )
        for place in range(20)
    ]
    steps = (WaitFor("pause", HOUR), MailStep("mail", "mail"))
    soon = a_measure("lead/any/soon", trigger=OnEvent(("Signed In",)), steps=steps)
    assert a_known_contact(a_playbook(soon, *weekly)).wake_at == NOON + HOUR
    assert looks.total() == 0


def test_only_the_rules_that_read_a_changed_fact_are_looked_at() -> None:
    looks: Looks = Counter()
    playbook = a_large_playbook(20, looks)
    contact = a_known_contact(playbook)
    assert looks_at(an_event("Plan Changed", NOON + HOUR, plan="p7"), contact, playbook, looks) > 0
    assert all(text.startswith("plan") for text in looks)
    # A value told again is no change.
    assert (
        looks_at(an_event("Plan Changed", NOON + 2 * HOUR, id="again", plan="p7"), contact, playbook, looks)
        == 0
    )


def test_the_first_event_looks_at_every_rule_of_the_place() -> None:
    looks: Looks = Counter()
    playbook = a_large_playbook(3, looks)
    looks_at(an_event("Signed In", NOON), a_contact(playbook), playbook, looks)
    assert {text for text in looks if text.startswith("plan")} == {
        *(f"plan == 'p{place}'" for place in range(3)),
        *(f"plan == 'p{place}' and silent_days(\"Signed In\") > 30" for place in range(3)),
    }


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        ("Email Opened", set()),
        ("Article Read", set()),
        ("Order Completed", {"entities", "conversions", "milestones"}),
        ("Order Cancelled", {"conversions"}),
        ("Order Delivered", {"milestones"}),
        ("Support Case Opened", {"entities", "holds", "milestones"}),
        ("Waitlist Joined", {"watches"}),
        ("Signed In", {"run_ends"}),
        ("Goods Received", {"run_ends", "keys"}),
    ],
)
def test_an_event_is_asked_of_the_parts_that_name_it(event: str, parts: set[str]) -> None:
    exits = (Exit("Signed In"), Exit("Goods Received", key="cart_id"))
    index = index_of(a_playbook(a_measure("lead/any/a_mail", entity="cart", exits=exits)))
    affected = index.affected_by(event)
    assert {part for part in AffectedParts.__slots__ if getattr(affected, part)} == parts


@pytest.mark.parametrize("count", [1, 20])
def test_open_entities_are_looked_for_once_for_all_measures(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: Looks = Counter()

    def look(entity: Entity, kind: EntityKind) -> bool:
        looks[kind.name] += 1
        return is_open(entity, kind)

    quiet = [
        a_measure(f"lead/any/quiet_{place}", trigger=OnQuiet("cart", (place + 2) * HOUR), entity="cart")
        for place in range(count)
    ]
    playbook = a_playbook(*quiet)
    contact = a_known_contact(playbook)
    monkeypatch.setattr(working_state, "is_open", look)
    event = an_event("Product Added", NOON + HOUR, cart_id="c1", product_id="p1")
    result = advance(contact, [event], now=NOON + HOUR, playbook=playbook, in_place=True)
    assert result.contact.wake_at == NOON + 3 * HOUR
    assert looks == {"cart": 1}
