"""Dates of entities as triggers: one run for each entity and day, which ends when the date moves to another day."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import Instant, parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.journey.entity_dates import describe_dates
from nurture.domain.journey.refold import merge_states
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Exit, MailStep, Measure, Once, OnEntityDate, WaitFor, WaitUntilDate
from nurture.domain.playbook import DueRule, EntityKind, LineRule, Playbook, Reversal
from tests.domain.build import DAY, ENTITIES, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, on

CONTRACT = EntityKind(
    "contract",
    ("contract_id",),
    (on("Contract Signed", "Contract Renewed"),),
    closed_by={"Contract Ended": "key"},
    keep=3,
)
ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed"),),
    counts_from=(on("Order Completed"),),
    lines=LineRule(("product_id",), source="products"),
)
SUPPLY = EntityKind("supply", ("product_id",), lines_of="order", due=DueRule(30 * DAY, 3))
KINDS = {kind.name: kind for kind in (*ENTITIES, CONTRACT, ORDER, SUPPLY)}
#: 2026-03-02, noon, is a Monday.
MARCH_9 = parse_iso("2026-03-09T09:00:00Z")
BERLIN: dict[str, Any] = {"traits": {"timezone": "Europe/Berlin"}}


def notice(path: str = "any/notice", **given: Any) -> Measure:
    values: dict[str, Any] = {
        "trigger": OnEntityDate("contract", "renews_at", -7 * DAY, 9 * 60),
        "entity": "contract",
        "while_open": True,
        "once": Once("occasion"),
        "steps": (
            MailStep("notice", "notice"),
            WaitUntilDate("w", "entity.renews_at", -DAY),
            MailStep("last", "last"),
        ),
    }
    return a_measure(path, **(values | given))


def playbook_of(*measures: Measure, **given: Any) -> Playbook:
    return a_playbook(*measures, **({"entities": KINDS} | given))


def live(playbook: Playbook, *events: Event, contact: Contact | None = None, until: Instant = 0) -> Advance:
    now = max([until, *(event.received_at for event in events)])
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def signed(at: Instant = NOON, key: str = "c1", renews: Any = "2026-03-16T12:00:00Z", **given: Any) -> Event:
    return an_event(
        "Contract Signed", at, contract_id=key, renews_at=renews, id=f"s{key}{at}{renews}", **given
    )


def notices(result: Advance) -> list[tuple[str, Instant]]:
    return [(m.run_key, m.due_at) for m in result.messages if m.step == "notice" and not m.cancelled]


def endings(result: Advance) -> list[tuple[str, str]]:
    return [(run.key, run.reason) for run in result.runs.values() if run.status != "active"]


def refusals(result: Advance) -> list[str]:
    return [entry.reason for entry in result.non_entries]


def test_each_open_entity_is_told_once_at_its_local_time() -> None:
    events = [signed(), signed(NOON + HOUR, "c2", "2026-03-17T23:30:00Z")]
    result = live(playbook_of(notice()), *events, until=NOON + 60 * DAY)
    assert notices(result) == [("c1@2026-03-16", MARCH_9), ("c2@2026-03-17", MARCH_9 + DAY)]
    assert result.runs["any/notice", "c1@2026-03-16"].entity_key == "c1"


def test_a_date_is_taken_by_the_day_of_the_persons_zone() -> None:
    events = [an_event("Identified", NOON - HOUR, **BERLIN), signed(renews="2026-03-16T23:30:00Z")]
    assert notices(live(playbook_of(notice()), *events, until=NOON + 60 * DAY)) == [
        ("c1@2026-03-17", parse_iso("2026-03-10T08:00:00Z"))
    ]


def test_a_closed_entity_is_told_nothing_unless_the_measure_says_any() -> None:
    events = [signed(), an_event("Contract Ended", NOON + HOUR, contract_id="c1")]
    for while_open, keys in ((True, []), (False, ["c1@2026-03-16"])):
        result = live(playbook_of(notice(while_open=while_open)), *events, until=NOON + 60 * DAY)
        assert [key for key, _ in notices(result)] == keys


def test_a_date_that_moves_to_another_day_ends_the_run_and_is_another_occasion() -> None:
    playbook = playbook_of(notice())
    begun = live(playbook, signed(), until=NOON + 8 * DAY)
    moved = an_event("Contract Renewed", NOON + 9 * DAY, contract_id="c1", renews_at="2026-04-20T12:00:00Z")
    result = live(playbook, moved, contact=begun.contact, until=NOON + 60 * DAY)
    assert endings(result)[0] == ("c1@2026-03-16", "date_moved")
    assert notices(result) == [("c1@2026-04-20", parse_iso("2026-04-13T09:00:00Z"))]
    assert [(c.reason, c.entity_key) for c in result.cancellations if c.run_key is None] == [
        ("date_moved", "c1")
    ]


@pytest.mark.parametrize("gone", [None, "9999-12-31", "soon"])
def test_a_date_that_is_taken_away_ends_the_run_and_its_mail(gone: str | None) -> None:
    playbook = playbook_of(
        notice(steps=(MailStep("notice", "notice"), WaitFor("w", DAY), MailStep("last", "last")))
    )
    begun = live(playbook, signed(), until=NOON + 8 * DAY)
    unknown = an_event("Contract Renewed", NOON + 9 * DAY, contract_id="c1", renews_at=gone)
    result = live(playbook, unknown, contact=begun.contact, until=NOON + 60 * DAY)
    assert endings(result) == [("c1@2026-03-16", "date_moved")]
    assert ("date_moved", "c1@2026-03-16") in [(c.reason, c.run_key) for c in result.cancellations]
    assert notices(result) == []


def test_a_date_that_moves_within_its_day_is_the_same_occasion() -> None:
    playbook = playbook_of(notice())
    begun = live(playbook, signed(), until=NOON + 8 * DAY)
    moved = an_event("Contract Renewed", NOON + 9 * DAY, contract_id="c1", renews_at="2026-03-16T18:00:00Z")
    result = live(playbook, moved, contact=begun.contact, until=NOON + 10 * DAY)
    assert (endings(result), notices(result), refusals(result)) == ([], [], [])


def test_a_date_that_moves_away_and_back_is_told_once() -> None:
    playbook = playbook_of(notice())
    away = an_event("Contract Renewed", NOON + 8 * DAY, contract_id="c1", renews_at="2026-05-20T12:00:00Z")
    back = an_event("Contract Renewed", NOON + 9 * DAY, contract_id="c1", renews_at="2026-03-16T12:00:00Z")
    result = live(playbook, signed(), away, back, until=NOON + 60 * DAY)
    assert (list(result.runs), refusals(result)) == ([("any/notice", "c1@2026-03-16")], ["once"])


def test_a_date_older_than_the_horizon_starts_nothing() -> None:
    playbook = playbook_of(notice(horizon=HOUR))
    result = live(playbook, signed(renews="2026-03-08T12:00:00Z"), until=NOON + 60 * DAY)
    assert (notices(result), refusals(result)) == ([], ["too_old"])


def test_a_date_within_the_horizon_fires_at_once() -> None:
    result = live(playbook_of(notice()), signed(renews="2026-03-08T12:00:00Z"), until=NOON + 60 * DAY)
    assert notices(result) == [("c1@2026-03-08", NOON)]


def test_an_exit_goes_before_the_move_of_the_date() -> None:
    exits = (Exit("Contract Renewed", "contract_id", "renewed"),)
    playbook = playbook_of(notice(exits=exits))
    begun = live(playbook, signed(), until=NOON + 8 * DAY)
    renewed = an_event("Contract Renewed", NOON + 9 * DAY, contract_id="c1", renews_at="2027-03-16T12:00:00Z")
    assert endings(live(playbook, renewed, contact=begun.contact)) == [("c1@2026-03-16", "renewed")]


@pytest.mark.parametrize("value", [None, True, "soon", [1], {"a": 1}, "0001-01-01T00:00:00Z", 10**30])
def test_a_value_that_is_no_date_starts_nothing(value: Any) -> None:
    result = live(playbook_of(notice()), signed(renews=value), until=NOON + 400 * DAY)
    assert notices(result) == []


def test_a_day_is_the_same_day_in_every_zone() -> None:
    trigger = OnEntityDate("contract", "renews_at", 0, 9 * 60, is_day=True)
    playbook = playbook_of(notice(trigger=trigger, steps=(MailStep("notice", "notice"),)))
    begun = live(playbook, an_event("Identified", NOON - HOUR, **BERLIN), signed(renews="2026-03-16"))
    assert notices(live(playbook, contact=begun.contact, until=NOON + 60 * DAY)) == [
        ("c1@2026-03-16", parse_iso("2026-03-16T08:00:00Z"))
    ]
    moved = an_event("Identified", NOON + 15 * DAY, traits={"timezone": "America/New_York"})
    again = an_event("Contract Renewed", NOON + 16 * DAY, contract_id="c1", renews_at="2026-03-16")
    result = live(playbook, moved, again, contact=begun.contact, until=NOON + 60 * DAY)
    assert ([key for key, _ in notices(result)], endings(result)[0][1]) == (["c1@2026-03-16"], "")


def test_a_supply_is_due_after_the_persons_own_interval_and_an_order_moves_it() -> None:
    soon = a_measure(
        "any/soon",
        trigger=OnEntityDate("supply", "due_at", -3 * DAY),
        entity="supply",
        while_open=True,
        once=Once("occasion"),
        steps=(MailStep("notice", "notice"), WaitUntilDate("w", "entity.due_at"), MailStep("last", "last")),
    )
    playbook = playbook_of(soon)

    def order(at: Instant, key: str) -> Event:
        return an_event("Order Completed", at, order_id=key, products=[{"product_id": "tea"}])

    begun = live(playbook, order(NOON, "o1"), until=NOON + 28 * DAY)
    assert notices(begun) == [("tea@2026-04-01", NOON + 27 * DAY)]
    # (3 x 30 + 29) / 4 days after the second order.
    bought = live(playbook, order(NOON + 29 * DAY, "o2"), contact=begun.contact, until=NOON + 57 * DAY)
    assert endings(bought) == [("tea@2026-04-01", "date_moved")]
    assert [key for key, _ in notices(bought)] == ["tea@2026-04-30"]


def test_the_waiting_mail_of_an_ended_run_goes_with_the_order_that_had_the_line() -> None:
    soon = a_measure(
        "any/soon",
        trigger=OnEntityDate("supply", "due_at", -3 * DAY),
        entity="supply",
        while_open=True,
        once=Once("occasion"),
        steps=(MailStep("notice", "notice"),),
    )
    order = replace(ORDER, reversed_by=(Reversal(on("Order Cancelled")),))
    playbook = playbook_of(soon, entities=KINDS | {"order": order})
    lines = [{"product_id": "tea"}, {"product_id": "cup"}]
    bought = an_event("Order Completed", NOON, order_id="o1", products=lines)
    begun = live(playbook, bought, until=NOON + 28 * DAY)
    assert [run.status for run in begun.runs.values()] == ["done", "done"]
    cancelled = an_event("Order Cancelled", NOON + 28 * DAY, order_id="o1")
    result = live(playbook, cancelled, contact=begun.contact)
    assert sorted((ending.entity_key, ending.reason) for ending in result.cancellations) == [
        ("cup", "entity_closed"),
        ("tea", "entity_closed"),
    ]


def test_a_move_to_another_zone_starts_what_is_due_on_another_day_there_at_once() -> None:
    playbook = playbook_of(notice(trigger=OnEntityDate("contract", "renews_at", 0)))
    home = an_event("Identified", NOON, **BERLIN)
    first = signed(NOON + 1, renews="2026-03-05T14:00:00Z")
    second = an_event(
        "Contract Renewed", NOON + 3 * DAY + 3 * HOUR, contract_id="c1", renews_at="2026-03-05T03:00:00Z"
    )
    begun = live(playbook, home, first, second, until=NOON + 4 * DAY)
    assert [key for key, _ in notices(begun)] == ["c1@2026-03-05"]
    moved = an_event("Identified", NOON + 4 * DAY, traits={"timezone": "America/New_York"})
    result = live(playbook, moved, contact=begun.contact)
    assert [key for key, _ in notices(result)] == ["c1@2026-03-04"]


# ---- the past --------------------------------------------------------------------------------------------


def test_after_a_publish_past_dates_are_the_past_and_later_ones_fire() -> None:
    before = playbook_of()
    contact = live(before, signed(), signed(key="c2", renews="2026-05-16T12:00:00Z")).contact
    for backlog, keys in (("none", ["c2@2026-05-16"]), ("enter", ["c1@2026-03-16", "c2@2026-05-16"])):
        after = replace(playbook_of(notice(), rules_hash="r2"), backlog=backlog)  # type: ignore[arg-type]
        contact.wake_at = NOON + 8 * DAY
        result = live(after, an_event("Signed In", NOON + 8 * DAY), contact=contact, until=NOON + 99 * DAY)
        assert [key for key, _ in notices(result)] == keys


def test_a_longer_offset_tells_nobody_whose_date_it_makes_past() -> None:
    contact = live(playbook_of(notice()), signed(renews="2026-04-01T12:00:00Z")).contact
    longer = notice(trigger=OnEntityDate("contract", "renews_at", -28 * DAY, 9 * 60), rules_hash="2")
    after = playbook_of(longer, rules_hash="r2")
    result = live(after, an_event("Signed In", NOON + 5 * DAY), contact=contact, until=NOON + 99 * DAY)
    assert notices(result) == []


def test_imported_contracts_are_told_of_dates_that_are_still_ahead() -> None:
    events = [
        signed(renews="2026-03-08T12:00:00Z", historic=True),
        signed(NOON + 1, "c2", "2026-03-16T12:00:00Z", historic=True),
    ]
    result = live(playbook_of(notice()), *events, until=NOON + 60 * DAY)
    assert [key for key, _ in notices(result)] == ["c2@2026-03-16"]


# ---- tracks, sends by hand, merges -----------------------------------------------------------------------


def test_a_run_is_handed_over_with_its_occasion() -> None:
    lead = notice("lead/any/notice", handover="customer/any/notice")
    playbook = playbook_of(lead, notice("customer/any/notice"))
    bought = an_event("Order Completed", NOON + 8 * DAY, order_id="o1")
    result = live(playbook, signed(), bought, until=NOON + 60 * DAY)
    assert [(m.measure, m.run_key, m.step) for m in result.messages if not m.cancelled] == [
        ("customer/any/notice", "c1@2026-03-16", "notice")
    ]


def test_a_send_by_hand_takes_the_occasion_of_the_date() -> None:
    playbook = playbook_of(notice())
    send = an_event("Ops Send", NOON + HOUR, kind="ops", measure="any/notice", request="r1", contract_id="c1")
    result = live(playbook, signed(), send, until=NOON + 60 * DAY)
    assert [key for key, _ in notices(result)] == ["c1@2026-03-16"]
    assert refusals(result) == ["once"]


def test_a_merge_keeps_the_date_that_the_entity_has() -> None:
    playbook = playbook_of(notice(steps=(MailStep("notice", "notice"),)))
    first, second = signed(), signed(NOON - DAY, renews="2026-03-14T12:00:00Z")
    mine = live(playbook, first, until=NOON + 8 * DAY).contact
    theirs = live(playbook, second, until=NOON + 8 * DAY).contact
    replayed = advance(a_contact(playbook), [second, first], now=NOON, playbook=playbook, mail=False).contact
    for survivor, other in ((mine.copy(), theirs), (theirs.copy(), mine)):
        merged = merge_states(survivor, other, replayed.copy(), now=NOON + 9 * DAY, playbook=playbook)
        after = live(playbook, contact=merged.advance.contact, until=NOON + 60 * DAY)
        assert (notices(after), refusals(after)) == ([], [])
        assert after.contact.memory.entity_dates == {"any/notice": {"c1": parse_iso("2026-03-16T12:00:00Z")}}


def test_why_says_of_each_entity_when_it_comes() -> None:
    measure = notice()
    playbook = playbook_of(measure)
    events = [
        signed(),
        signed(NOON + 1, "c2", "2026-05-16T12:00:00Z"),
        signed(NOON + 2, "c3", "soon"),
    ]
    contact = live(playbook, *events, until=NOON + 8 * DAY).contact
    assert isinstance(measure.trigger, OnEntityDate)
    assert describe_dates(Work(contact, playbook, Advance(contact)), measure, measure.trigger) == [
        "c1: 2026-03-16T12:00:00Z, has come",
        "c2: 2026-05-16T12:00:00Z, starts at 2026-05-09T09:00:00Z",
        "c3: is not open, or has no renews_at",
    ]
