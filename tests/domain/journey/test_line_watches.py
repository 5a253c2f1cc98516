"""Lists of watchers over the lines of orders: a function of what is known, in any order of arrival."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.contact import Advance
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from nurture.domain.journey.line_watches import watched_lines
from nurture.domain.playbook import Conversion, EntityKind, LineRule, Playbook, Reversal, WatchList
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_playbook, an_event, on
from tests.rig.examples import examples


def a_shop() -> Playbook:
    """Return the small programme with orders that have lines, and two lists over these."""
    order = EntityKind(
        "order",
        ("order_id",),
        (on("Order Completed"),),
        counts_from=(on("Order Completed"),),
        lines=LineRule(("product_id",), source="products"),
        reversed_by=(Reversal(on("Order Cancelled")),),
    )
    shop = a_playbook(conversion=Conversion((), "", ()))
    lists = (
        WatchList("product", "product_id", "owns", lines_of="order", lasts=800 * DAY),
        WatchList("product", "product_id", "unshipped", lines_of="order", ended_by=("Order Shipped",)),
    )
    objects = {"product": replace(shop.objects["product"], lists=lists)}
    return replace(shop, entities={**shop.entities, "order": order}, objects=objects)


SHOP = a_shop()


def goods(*keys: str) -> list[dict[str, str]]:
    return [{"product_id": key} for key in keys]


KINDS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("Order Completed", {"order_id": "o1", "products": goods("kettle", "cup")}),
    ("Order Completed", {"order_id": "o2", "products": goods("kettle")}),
    ("Order Completed", {"order_id": "o1", "products": goods("tin")}),
    ("Order Shipped", {"order_id": "o1"}),
    ("Order Shipped", {"order_id": "o2", "products": goods("kettle")}),
    ("Order Shipped", {"order_id": "o1", "products": goods("cup")}),
    ("Order Cancelled", {"order_id": "o1"}),
    ("Order Cancelled", {"order_id": "o2"}),
    ("Waitlist Joined", {"product_id": "kettle"}),
)


def watched(*events: Event) -> dict[str, Mapping[str, Instant]]:
    """Return list -> what is watched on it after these events."""
    result = advance(a_contact(SHOP), events, now=NOON + 99 * DAY, playbook=SHOP)
    now = {lines.kind: lines.since for lines in watched_lines(result.contact, SHOP)}
    # The decisions lead to the same rows.
    assert {**{name: {} for name in now}, **rows(result)} == now
    return now


def rows(*results: Advance) -> dict[str, Mapping[str, Instant]]:
    return {lines.kind: lines.since for result in results for lines in result.watched_lines}


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw events in the order in which they occurred, each once."""
    kinds = draw(st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=6, unique=True))
    return [
        an_event(KINDS[kind][0], NOON + place * HOUR, id=f"e{place}", **KINDS[kind][1])
        for place, kind in enumerate(kinds)
    ]


@given(histories(), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_any_order_of_arrival_gives_the_same_lists(events: list[Event], data: st.DataObject) -> None:
    late = [replace(event, received_at=NOON + DAY) for event in events]
    assert watched(*data.draw(st.permutations(late))) == watched(*late)


@given(histories(), st.data())
@settings(max_examples=examples(40), deadline=None)
def test_a_batch_decides_the_same_lists_as_its_events_one_by_one(
    events: list[Event], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    whole = advance(a_contact(SHOP), events, now=NOON + DAY, playbook=SHOP)
    first = advance(a_contact(SHOP), events[:cut], now=NOON + DAY, playbook=SHOP)
    then = advance(first.contact, events[cut:], now=NOON + DAY, playbook=SHOP)
    assert rows(first, then) == rows(whole)


@given(histories(), histories())
@settings(max_examples=examples(40), deadline=None)
def test_two_people_who_become_one_watch_what_both_know(mine: list[Event], theirs: list[Event]) -> None:
    theirs = [replace(event, message_id=f"other {event.message_id}") for event in theirs]
    contacts = [
        advance(a_contact(SHOP), events, now=NOON + DAY, playbook=SHOP).contact for events in (mine, theirs)
    ]
    joined = {
        line.kind: line.since
        for line in watched_lines(combine_histories(contacts[0], contacts[1], SHOP), SHOP)
    }
    together = sorted((*mine, *theirs), key=lambda event: event.occurred_at)
    assert joined == watched(*together)


def test_a_parcel_ends_the_watch_of_its_own_order_only() -> None:
    first = an_event("Order Completed", NOON, order_id="o1", products=goods("kettle", "cup"))
    second = an_event("Order Completed", NOON + HOUR, order_id="o2", products=goods("kettle"))
    shipped = an_event("Order Shipped", NOON + DAY, order_id="o1")
    for order in permutations((first, second, shipped)):
        assert watched(*order) == {
            "product/owns": {"cup": NOON, "kettle": NOON + HOUR},
            "product/unshipped": {"kettle": NOON + HOUR},
        }
