"""Published values: numbers and bands, which numbers are announced, and versions in force."""

from dataclasses import replace
from itertools import permutations

import pytest

from nurture.domain.conditions import Table
from nurture.domain.entities import entity_of
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED, Event
from nurture.domain.facts import empty, fold
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.domain.playbook import (
    BandFact,
    DueRule,
    EntityKind,
    EntityMatch,
    LineRule,
    Playbook,
    PublishedValue,
    PublishedVersions,
    RhythmFact,
    UsualInterval,
)
from nurture.domain.published_values import band_of, default_margin, is_news, read_number, write_number
from tests.domain.build import NOON, a_playbook, an_event, on

BANDS = (("low", 0), ("medium", 300_000), ("high", 600_000))
RISK = PublishedValue("risk", "contact", BANDS, margin=50_000)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("71%", 710_000),
        (" 0.71 ", 710_000),
        (0.71, 710_000),
        (3, 3_000_000),
        ("-2.5", -2_500_000),
        ("1e-7", 0),
        ("0.0000015", 2),
        ("999999999", 999_999_999_000_000),
        ("1000000000", None),
        ("high", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        (True, None),
        (None, None),
        ("1" * 40, None),
        ("1,5", None),
    ],
)
def test_a_number_or_a_percentage_is_read(written: object, number: int | None) -> None:
    assert read_number(written) == number


def test_a_number_is_written_as_it_was_read() -> None:
    texts = ("0.71", "1200", "-2.5", "0", "0.000001")
    assert [write_number(read_number(text)) for text in texts] == list(texts)
    assert write_number(None) == ""


def test_a_band_holds_from_its_bound_on() -> None:
    numbers = (-1, 0, 299_999, 300_000, 600_000, 10**12)
    assert [band_of(BANDS, number) for number in numbers] == ["low", "low", "low", "medium", "high", "high"]
    assert default_margin(BANDS) == 30_000


@pytest.mark.parametrize(
    ("announced", "before", "number", "expected"),
    [
        # The first number, the same band, nothing, and a number that is taken back.
        (None, None, 100_000, True),
        (100_000, 100_000, 290_000, False),
        (None, 100_000, None, False),
        (100_000, 100_000, None, True),
        # Beyond the margin at once, in both directions and over a band.
        (100_000, 100_000, 350_000, True),
        (400_000, 400_000, 249_999, True),
        (100_000, 100_000, 900_000, True),
        # At the edge the second time only.
        (100_000, 100_000, 349_999, False),
        (100_000, 310_000, 320_000, True),
        (400_000, 400_000, 260_000, False),
        (400_000, 290_000, 260_000, True),
        # The number before was beyond the other edge, or there was none.
        (400_000, 610_000, 290_000, False),
        (100_000, None, 320_000, False),
    ],
)
def test_a_number_is_news(
    announced: int | None, before: int | None, number: int | None, *, expected: bool
) -> None:
    assert is_news(RISK, announced, before, number) is expected


# ---- bands as facts --------------------------------------------------------------------------------------

FACT = BandFact("risk", "band", "text", (on(VALUE_PUBLISHED),), bands=BANDS)


def published(day: int, number: object, *, name: str = "risk", source: str = BY_MODEL) -> Event:
    version = day + 1
    event = an_event(VALUE_PUBLISHED, NOON + day * DAY, id=f"risk:{version}:1")
    return replace(event, source=source, properties={"name": name, "value": number})


def risk_of(*events: Event) -> object:
    playbook = a_playbook(facts={"risk": FACT})
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    for event in events:
        fold(contact, event, playbook)
    return contact.facts.get("risk")


def test_the_newest_number_decides_in_any_order() -> None:
    events = [published(0, "0.1"), published(2, "0.7"), published(1, "0.4")]
    assert {risk_of(*shuffled) for shuffled in permutations(events)} == {"high"}
    assert risk_of(*events, published(3, "")) is None


def test_only_a_publication_counts() -> None:
    assert risk_of(published(0, "0.1"), published(1, "0.7", source="shop")) == "low"
    assert risk_of(published(0, "0.1"), published(1, "0.7", name="other")) == "low"


# ---- versions in force -----------------------------------------------------------------------------------

ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed"),),
    lines=LineRule(("product_id",), source="products"),
    keep=2,
)
TABLE = Table("usual_days", "at_hand.category", {"beans": 30 * DAY}, "duration", 90 * DAY)
USUAL = UsualInterval("category", "mean_days", TABLE)
LAPSED = RhythmFact("lapsed_at", (EntityMatch("order"),), times=2, usual=USUAL, weight=1)
SUPPLY = EntityKind("supply", ("product_id",), lines_of="order", due=DueRule(USUAL, 1), keep=10)


def shop(*rows: tuple[Instant, int | None]) -> Playbook:
    return a_playbook(
        facts={"lapsed_at": LAPSED},
        entities={"order": ORDER, "supply": SUPPLY},
        published=PublishedVersions({("mean_days", "beans"): rows}),
    )


def order(key: str, day: int, *categories: str) -> Event:
    rows = [
        {"product_id": f"{name}-1", "category": name, "quantity": 1, "price": 9 - place}
        for place, name in enumerate(categories)
    ]
    return an_event("Order Completed", NOON + day * DAY, id=key, order_id=key, products=rows)


def dates(playbook: Playbook, *events: Event) -> tuple[Instant, str]:
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    for event in events:
        fold(contact, event, playbook)
    supply = entity_of(contact, "supply", "beans-1")
    return contact.facts["lapsed_at"], "" if supply is None else supply.fields["due_at"]


def test_the_version_in_force_at_the_last_purchase_counts() -> None:
    versions = [(NOON + DAY, 10_000_000), (NOON + 2 * DAY, 20_500_000), (NOON + 9 * DAY, None)]
    for day, interval in ((0, 30 * DAY), (1, 10 * DAY), (2, 20 * DAY + DAY // 2), (9, 30 * DAY)):
        bought = NOON + day * DAY
        found = dates(shop(*versions), order("1", day, "beans"))
        assert found == (bought + 2 * interval, to_iso(bought + interval))
    assert dates(shop(*versions), order("1", 2, "tea"))[0] == NOON + 2 * DAY + 2 * 90 * DAY


def test_the_largest_line_of_the_last_order_says_which() -> None:
    playbook = shop((NOON, 10_000_000))
    assert dates(playbook, order("1", 0, "beans", "tea"))[0] == NOON + 20 * DAY
    assert dates(playbook, order("1", 0, "tea", "beans"))[0] == NOON + 180 * DAY


def test_an_order_that_was_dropped_is_still_known_by_its_category() -> None:
    """Three orders, of which two are kept; the last one is cancelled and so dropped before the open ones."""
    kind = EntityKind(
        "order",
        ("order_id",),
        (on("Order Completed"),),
        lines=ORDER.lines,
        closed_by={"Order Delivered": "key"},
        keep=1,
        remember=400 * DAY,
    )
    playbook = a_playbook(
        facts={"lapsed_at": LAPSED},
        entities={"order": kind},
        published=PublishedVersions({("mean_days", "beans"): [(NOON, 10_000_000)]}),
    )
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    delivered = an_event("Order Delivered", NOON + 3 * DAY, id="d", order_id="2")
    for event in (order("1", 0, "tea"), delivered, order("2", 2, "beans")):
        fold(contact, event, playbook)
    assert set(contact.memory.entities["order"]) == {"1"}, "the delivered one is dropped first"
    assert contact.facts["lapsed_at"] == NOON + 2 * DAY + 2 * ((10 * DAY + 2 * DAY) // 2)


def test_any_order_of_arrival_gives_the_same_dates() -> None:
    playbook = shop((NOON + DAY, 10_000_000), (NOON + 5 * DAY, 20_000_000))
    events = [order("1", 0, "tea"), order("2", 4, "beans"), order("3", 7, "beans", "tea")]
    assert len({dates(playbook, *shuffled) for shuffled in permutations(events)}) == 1
