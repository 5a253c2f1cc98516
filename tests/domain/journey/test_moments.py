"""Moments as triggers and waits: once for each day of the calendar, in the person's zone; and waits in open hours."""

from datetime import date
from typing import Any

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import FOREVER, Instant, parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.measure import (
    MailStep,
    Measure,
    Once,
    OnEvent,
    OnMoment,
    WaitBusinessTime,
    WaitUntilMoment,
)
from nurture.domain.moments import EasterDay, FixedDay, ListedDays, MomentRule, WeekdayOfMonth, days_of
from nurture.domain.owners import BusinessCalendar, Owner
from nurture.domain.playbook import Playbook
from nurture.playbook.builders.moments import build_moments
from nurture.playbook.schema.moments import LunarMoment
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event, when

MID_AUTUMN = build_moments({"m": LunarMoment(lunar="08-15")})["m"]  # type: ignore[arg-type]
NEW_YEARS_EVE = build_moments({"m": LunarMoment(lunar="12-30")})["m"]  # type: ignore[arg-type]
FAIR = ListedDays((date(2026, 3, 20), date(2026, 9, 1)))


def greeting(moment: str = "fair", **given: Any) -> Measure:
    return a_measure(
        "any/greeting", **({"trigger": OnMoment(moment, 9 * 60), "once": Once("occasion")} | given)
    )


def playbook_of(*measures: Measure, **moments: MomentRule) -> Playbook:
    return a_playbook(*measures, moments={"fair": FAIR} | moments)


def live(playbook: Playbook, *events: Event, contact: Contact | None = None, until: Instant = 0) -> Advance:
    now = max([until, *(event.received_at for event in events)])
    return advance(contact or a_contact(playbook), events, now=now, playbook=playbook)


def mails(result: Advance) -> list[tuple[str, Instant]]:
    return [(message.run_key, message.due_at) for message in result.messages]


@pytest.mark.parametrize(
    ("rule", "year", "expected"),
    [
        (FixedDay(1, 1), 2027, ["2027-01-01"]),
        (FixedDay(2, 29), 2027, ["2027-02-28"]),
        (FixedDay(2, 29), 2028, ["2028-02-29"]),
        (EasterDay(0), 2026, ["2026-04-05"]),
        (EasterDay(-2), 2027, ["2027-03-26"]),
        (EasterDay(49), 2038, ["2038-06-13"]),
        (EasterDay(0), 1943, ["1943-04-25"]),
        (WeekdayOfMonth(4, 3, 11), 2026, ["2026-11-26"]),
        (WeekdayOfMonth(-1, 0, 5), 2026, ["2026-05-25"]),
        (WeekdayOfMonth(5, 0, 2), 2026, []),
        (WeekdayOfMonth(1, 1, 12), 2026, ["2026-12-01"]),
        (MID_AUTUMN, 2027, ["2027-09-15"]),
        (MID_AUTUMN, 2026, ["2026-09-25"]),
        # A month of 29 days ends a day earlier; a short lunar year brings the day twice into one of ours.
        (NEW_YEARS_EVE, 2026, ["2026-02-16"]),
        (build_moments({"m": LunarMoment(lunar="12-01")})["m"], 2022, ["2022-01-03", "2022-12-23"]),  # type: ignore[arg-type]
        (FAIR, 2026, ["2026-03-20", "2026-09-01"]),
        (FAIR, 2027, []),
    ],
)
def test_the_days_of_a_moment(rule: MomentRule, year: int, expected: list[str]) -> None:
    assert [day.isoformat() for day in days_of(rule, year)] == expected


def test_a_greeting_leaves_on_each_day_at_the_local_time() -> None:
    berlin = an_event("Identified", traits={"timezone": "Europe/Berlin"})
    assert mails(live(playbook_of(greeting()), berlin, until=NOON + 400 * DAY)) == [
        ("2026-03-20", parse_iso("2026-03-20T08:00:00Z")),
        ("2026-09-01", parse_iso("2026-09-01T07:00:00Z")),
    ]


def test_a_day_is_greeted_once_when_the_person_flies_west() -> None:
    playbook = playbook_of(greeting())
    events = [
        an_event("Identified", traits={"timezone": "Asia/Shanghai"}),
        an_event("Identified", parse_iso("2026-03-20T06:00:00Z"), traits={"timezone": "America/New_York"}),
    ]
    assert mails(live(playbook, *events, until=NOON + 60 * DAY)) == [
        ("2026-03-20", parse_iso("2026-03-20T01:00:00Z"))
    ]


def test_a_contact_sleeps_until_the_moment_while_the_audience_is_yes() -> None:
    playbook = playbook_of(greeting(audience=when("trials >= 1")))
    outside = live(playbook, an_event("Signed Up"))
    inside = live(playbook, an_event("Trial Started"))
    assert (outside.contact.wake_at, inside.contact.wake_at) == (FOREVER, parse_iso("2026-03-20T09:00:00Z"))
    after = live(playbook, contact=inside.contact, until=NOON + 400 * DAY)
    assert (len(after.messages), after.contact.wake_at) == (2, FOREVER)


def test_a_day_behind_the_years_that_are_looked_at_is_found_when_it_is_near() -> None:
    far = ListedDays((date(2031, 5, 1),))
    playbook = playbook_of(greeting("far"), far=far)
    begun = live(playbook, an_event("Signed Up"))
    assert begun.contact.wake_at == parse_iso("2028-01-01T00:00:00Z")
    result = live(playbook, contact=begun.contact, until=parse_iso("2031-06-01T00:00:00Z"))
    assert mails(result) == [("2031-05-01", parse_iso("2031-05-01T09:00:00Z"))]


def test_a_send_by_hand_on_the_day_is_the_same_occasion() -> None:
    playbook = playbook_of(greeting())
    send = an_event(
        "Ops Send", NOON, kind="ops", measure="any/greeting", request="r1", occasion="2026-03-20", id="ops"
    )
    result = live(playbook, send, until=NOON + 60 * DAY)
    assert ([key for key, _ in mails(result)], [entry.reason for entry in result.non_entries]) == (
        ["2026-03-20"], ["once"]
    )  # fmt: skip


# ---- waits -----------------------------------------------------------------------------------------------


def waiting(*steps: Any, **given: Any) -> Measure:
    return a_measure(
        "any/waits", trigger=OnEvent(("Signed Up",)), steps=(*steps, MailStep("mail", "mail")), **given
    )


def test_a_wait_for_a_moment_ends_on_its_day_and_follows_the_zone() -> None:
    playbook = playbook_of(waiting(WaitUntilMoment("w", "fair", 9 * 60)))
    moved = an_event("Identified", NOON + DAY, traits={"timezone": "Europe/Berlin"})
    assert mails(live(playbook, an_event("Signed Up"), moved, until=NOON + 60 * DAY)) == [
        ("", parse_iso("2026-03-20T08:00:00Z"))
    ]


def test_a_wait_for_a_moment_that_never_comes_again_ends_the_run() -> None:
    playbook = playbook_of(waiting(WaitUntilMoment("w", "past")), past=ListedDays((date(2020, 1, 1),)))
    result = live(playbook, an_event("Signed Up"), until=NOON + 60 * DAY)
    assert [(run.status, run.reason) for run in result.runs.values()] == [("stopped", "date_unknown")]


def test_a_wait_in_open_hours_leaves_out_nights_and_moments() -> None:
    office = BusinessCalendar("office", "UTC", frozenset(range(5)), 9 * 60, 17 * 60, moments=(FAIR,))
    owners = {"nora": Owner("nora", "Nora", "nora@shop.example", office)}
    playbook = a_playbook(waiting(WaitBusinessTime("w", 1, HOUR, "nora")), owners=owners)
    # Thursday, 12 o'clock: 5 hours are left, Friday is the fair, 4 more on Monday.
    signed_up = an_event("Signed Up", parse_iso("2026-03-19T12:00:00Z"))
    assert mails(live(playbook, signed_up, until=NOON + 60 * DAY)) == [
        ("", parse_iso("2026-03-23T13:00:00Z"))
    ]


@pytest.mark.parametrize("owner", ["nobody", "contact.first_name"])
def test_a_wait_in_hours_of_nobody_ends_the_run(owner: str) -> None:
    playbook = a_playbook(waiting(WaitBusinessTime("w", 1, 0, owner)))
    result = live(playbook, an_event("Signed Up"), until=NOON + 60 * DAY)
    assert [run.reason for run in result.runs.values()] == ["date_unknown"]
