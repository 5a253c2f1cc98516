"""The count of a frequency cap: runs by default, mails on request; coupons; mail that the person asked for."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.guard.caps import LedgerEntry, find_full_cap, find_slot_winner, find_unexpired_gap
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant
from nurture.domain.measure import PURPOSES
from nurture.domain.playbook import Cap
from tests.delivery.builders import NOON

SALES = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
SPACED = Cap("sales", frozenset({"sales", "nurture"}), at_most=2, within=7 * DAY, gap=12 * HOUR)
DISCOUNT = Cap("discount", frozenset(PURPOSES) - {"transactional"}, 1, 90 * DAY, codes_only=True)


def an_entry(run: str, ago: Instant = DAY, **changes: Any) -> LedgerEntry:
    """Return a sent sales mail of the run `measure` or `measure:key`, so long ago."""
    measure, _, key = run.partition(":")
    entry = LedgerEntry(
        id=9,
        measure=f"customer/any/{measure}",
        run_key=key,
        step="step",
        purpose="sales",
        lane="main",
        priority=50,
        status="sent",
        due_at=NOON - ago,
        counted_at=NOON - ago,
    )
    return replace(entry, **changes)


def a_message(run: str = "cart:1", **changes: Any) -> LedgerEntry:
    """Return a waiting sales mail of the run, due now."""
    values: dict[str, Any] = {"id": 20, "status": "waiting", "due_at": NOON, "counted_at": 0}
    return an_entry(run, **(values | changes))


@pytest.mark.parametrize(
    ("before", "until"),
    [
        pytest.param([an_entry("cart:1")], None, id="the second mail of a series"),
        pytest.param([an_entry("cart:1", 2 * DAY), an_entry("cart:1")], None, id="and its third"),
        pytest.param([an_entry("cart:2")], NOON + 13 * DAY, id="another cart is another run"),
        pytest.param([an_entry("coupon")], NOON + 13 * DAY, id="another measure"),
        pytest.param([an_entry("cart:1", 15 * DAY)], None, id="its slot is over, and another is free"),
        pytest.param(
            [an_entry("cart:1", 15 * DAY), an_entry("coupon", 2 * DAY)],
            NOON + 12 * DAY,
            id="its slot is over, and somebody else has it",
        ),
        pytest.param(
            [an_entry("cart:1", 15 * DAY), an_entry("cart:1", 13 * DAY)], None, id="its last mail renewed it"
        ),
        pytest.param(
            [an_entry("coupon", 10 * DAY), an_entry("coupon", 3 * DAY)],
            NOON + 11 * DAY,
            id="a slot ends with the last mail of its run",
        ),
        pytest.param([an_entry("cart:1", purpose="nurture")], None, id="a mail that does not count"),
    ],
)
def test_a_cap_counts_runs(before: list[LedgerEntry], until: Instant | None) -> None:
    full = find_full_cap((SALES,), a_message(), before, now=NOON)
    assert (full.until if full else None) == until


@pytest.mark.parametrize(
    ("message", "is_full"),
    [
        pytest.param(a_message("cart:1"), False, id="a third mail of a run with a slot"),
        pytest.param(a_message("digest"), True, id="a third run"),
        pytest.param(a_message("digest", purpose="service"), False, id="another purpose"),
    ],
)
def test_two_slots_are_two_runs(message: LedgerEntry, is_full: bool) -> None:
    before = [an_entry("cart:1", 3 * DAY), an_entry("cart:1", 2 * DAY), an_entry("coupon", 4 * DAY)]
    full = find_full_cap((SPACED,), message, before, now=NOON)
    assert (full is not None) == is_full
    if full:
        # The coupon's slot ends first.
        assert full.until == NOON + 3 * DAY


@pytest.mark.parametrize(
    ("heir", "is_full"),
    [
        pytest.param(a_message("welcome", began_as="lead/any/welcome"), False, id="the heir"),
        pytest.param(a_message("welcome"), True, id="a run that began by itself"),
        pytest.param(a_message("welcome:2", began_as="lead/any/welcome"), True, id="the heir of another run"),
    ],
)
def test_an_heir_is_the_same_run(heir: LedgerEntry, is_full: bool) -> None:
    before = [an_entry("welcome", measure="lead/any/welcome")]
    assert (find_full_cap((SALES,), heir, before, now=NOON) is not None) == is_full


def test_mails_are_counted_where_the_cap_says_so() -> None:
    mails = replace(SALES, count="mails")
    full = find_full_cap((mails,), a_message(), [an_entry("cart:1")], now=NOON)
    assert full is not None
    assert (full.until, full.detail) == (NOON + 13 * DAY, "1 of 1 mails in the window")


@pytest.mark.parametrize(
    ("before", "is_full"),
    [
        pytest.param(an_entry("birthday", 80 * DAY, has_code=True, purpose="nurture"), True, id="a coupon"),
        pytest.param(an_entry("birthday", 91 * DAY, has_code=True), False, id="long ago"),
        pytest.param(an_entry("birthday", has_code=False), False, id="no coupon"),
        pytest.param(an_entry("birthday", has_code=True, asked_for=True), False, id="asked for"),
        pytest.param(an_entry("cart:1", has_code=True), False, id="the same run"),
        pytest.param(an_entry("receipt", has_code=True, purpose="transactional"), False, id="transactional"),
    ],
)
def test_offers_count_mails_with_a_coupon(before: LedgerEntry, is_full: bool) -> None:
    full = find_full_cap((DISCOUNT,), a_message(has_code=True), [before], now=NOON)
    assert (full is not None) == is_full
    assert find_full_cap((DISCOUNT,), a_message(), [before], now=NOON) is None


@pytest.mark.parametrize("cap", [SALES, SPACED, replace(SALES, count="mails"), DISCOUNT])
def test_a_mail_that_was_asked_for_is_neither_capped_nor_counted(cap: Cap) -> None:
    asked, other = a_message(asked_for=True, has_code=True), a_message("coupon", has_code=True)
    before = [
        an_entry(run, HOUR, has_code=True, id=number) for number, run in enumerate(("a", "b", "c"), start=1)
    ]
    assert find_full_cap((cap,), other, before, now=NOON) is not None
    assert find_full_cap((cap,), asked, before, now=NOON) is None
    assert find_unexpired_gap((cap,), asked, before, now=NOON) is None
    counted = [replace(entry, asked_for=True) for entry in before]
    assert find_full_cap((cap,), other, counted, now=NOON) is None
    assert find_unexpired_gap((cap,), other, counted, now=NOON) is None


@pytest.mark.parametrize(
    ("before", "count", "until"),
    [
        pytest.param(an_entry("coupon", HOUR), "runs", NOON + 11 * HOUR, id="another run"),
        pytest.param(an_entry("cart:1", HOUR), "runs", None, id="its own distance is its waits"),
        pytest.param(an_entry("cart:2", HOUR), "runs", NOON + 11 * HOUR, id="another cart"),
        pytest.param(an_entry("cart:1", HOUR), "mails", NOON + 11 * HOUR, id="mails keep it all"),
        pytest.param(
            an_entry("coupon", 0, status="ready"), "runs", NOON + 10 * MINUTE, id="one that may come back"
        ),
    ],
)
def test_the_gap_is_between_runs(before: LedgerEntry, count: Any, until: Instant | None) -> None:
    near = find_unexpired_gap((replace(SPACED, count=count),), a_message(), [before], now=NOON)
    assert (near.until if near else None) == until


def winner(cap: Cap, message: LedgerEntry, *entries: LedgerEntry) -> str | None:
    """Return the name of the rival's run to which the message gives way."""
    found = find_slot_winner((cap,), message, entries, now=NOON, horizon=4 * HOUR)
    return found.measure.rpartition("/")[2] if found else None


def test_competing_messages_of_one_run_take_one_slot() -> None:
    message = a_message(priority=50)
    rivals = [
        a_message("coupon", id=number, priority=80, due_at=NOON + number * HOUR) for number in (1, 2, 3)
    ]
    two = replace(SPACED, gap=0)
    assert winner(two, message, *rivals) is None
    assert winner(two, message, *rivals, a_message("digest", id=4, priority=70)) == "coupon"
    assert winner(replace(two, count="mails"), message, *rivals) == "coupon"


@pytest.mark.parametrize(
    ("entries", "behind"),
    [
        pytest.param([a_message("coupon", id=1, priority=80)], "coupon", id="a new run of higher priority"),
        pytest.param(
            [a_message("coupon", id=1, priority=80), an_entry("cart:1")], None, id="it has its slot already"
        ),
        pytest.param(
            [a_message("coupon", id=1, priority=80), an_entry("coupon", id=2)],
            None,
            id="the rival has its slot, so it takes none (the cap itself is full)",
        ),
        pytest.param([a_message("cart:1", id=1, priority=80)], None, id="its own run is no rival"),
        pytest.param([a_message("coupon", id=1, priority=80, asked_for=True)], None, id="asked for"),
        pytest.param([a_message("coupon", id=1, priority=80, holdout=True)], None, id="held back"),
    ],
)
def test_a_run_with_a_slot_competes_for_none(entries: list[LedgerEntry], behind: str | None) -> None:
    assert winner(SALES, a_message(), *entries) == behind


def test_a_rival_within_the_gap_goes_first_whoever_has_a_slot() -> None:
    rival = a_message("coupon", id=1, priority=80, due_at=NOON + HOUR)
    assert winner(SPACED, a_message(), rival, an_entry("cart:1")) == "coupon"
    assert winner(replace(SPACED, gap=0), a_message(), rival, an_entry("cart:1")) is None
