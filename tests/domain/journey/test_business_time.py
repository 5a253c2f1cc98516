"""Business time: what counts, what a promise is made of, and who is named as the owner."""

from typing import Any

import pytest

from nurture.domain.conditions import ALWAYS
from nurture.domain.instant import HOUR, parse_iso, to_iso
from nurture.domain.journey.business_time import add_business_time, promised_instant
from nurture.domain.measure import Action, LetBusiness, MailStep, Measure, OnOps
from nurture.domain.owners import BusinessCalendar, Owner, owner_of_run

OFFICE = BusinessCalendar(
    "office",
    "Europe/Berlin",
    frozenset(range(5)),
    9 * 60,
    17 * 60,
    frozenset({"2026-06-12", "12-25", "01-01"}),
)
NIGHT_SHIFT = BusinessCalendar("night", "America/New_York", frozenset(range(7)), 0, 6 * 60)
OWNERS = {
    "support": Owner("support", "Tom Adler", "tom@shop.example", OFFICE),
    "mira": Owner("mira", "Mira Lenz", "mira@shop.example"),
}


@pytest.mark.parametrize(
    ("start", "days", "hours", "end"),
    [
        # Wednesday morning: the same time of the next day.
        ("2026-06-10T09:12:00+02:00", 1, 0, "2026-06-11T09:12:00+02:00"),
        # After the office has closed, and before it opens: the whole next opening.
        ("2026-06-10T19:00:00+02:00", 1, 0, "2026-06-11T17:00:00+02:00"),
        ("2026-06-10T06:00:00+02:00", 1, 0, "2026-06-10T17:00:00+02:00"),
        # Friday, 12 June, is closed; a weekend follows.
        ("2026-06-11T16:00:00+02:00", 1, 0, "2026-06-15T16:00:00+02:00"),
        ("2026-06-11T16:00:00+02:00", 0, 4, "2026-06-15T12:00:00+02:00"),
        # Saturday night.
        ("2026-06-13T23:30:00+02:00", 0, 2, "2026-06-15T11:00:00+02:00"),
        # 25 December and 1 January of every year, a weekend between.
        ("2026-12-24T16:30:00+01:00", 1, 0, "2026-12-28T16:30:00+01:00"),
        ("2027-12-31T12:00:00+01:00", 1, 1, "2028-01-03T13:00:00+01:00"),
        # The clock changes on Sunday, 25 October: 16:00 is 16:00.
        ("2026-10-23T16:00:00+02:00", 1, 0, "2026-10-26T16:00:00+01:00"),
        ("2026-03-27T16:00:00+01:00", 5, 0, "2026-04-03T16:00:00+02:00"),
    ],
)
def test_time_outside_the_hours_does_not_count(start: str, days: int, hours: int, end: str) -> None:
    reached = add_business_time(parse_iso(start), days, hours * HOUR, OFFICE)
    assert to_iso(reached) == to_iso(parse_iso(end))


def test_the_hours_are_those_of_the_office_not_of_the_reader() -> None:
    reached = add_business_time(parse_iso("2026-06-10T12:00:00Z"), 0, 2 * HOUR, NIGHT_SHIFT)
    # 10 June, 08:00 in New York: it opens again at midnight.
    assert to_iso(reached) == "2026-06-11T06:00:00Z"


def test_business_time_is_added_in_parts_as_in_one() -> None:
    start = parse_iso("2026-06-10T09:00:00+02:00")
    for minutes in range(0, 4_000, 7):
        begin = start + minutes * 60_000_000
        halfway = add_business_time(begin, 0, 5 * HOUR, OFFICE)
        assert add_business_time(halfway, 0, 3 * HOUR, OFFICE) == add_business_time(begin, 1, 0, OFFICE)


def test_a_calendar_that_never_opens_says_so() -> None:
    closed = BusinessCalendar("attic", "UTC", frozenset(), 0, 60)
    with pytest.raises(ValueError, match="attic never opens"):
        add_business_time(0, 1, 0, closed)


def promise(rule: LetBusiness, names: dict[str, Any], *, sender: str = "") -> str | None:
    measure = Measure(
        path="any/case", track="any", stage="any", goal="", audience=ALWAYS, form="", action=Action("", ""),
        kind="service", purpose="service", topic=None, trigger=OnOps(), steps=(MailStep("mail", "mail"),),
        sender=sender,
    )  # fmt: skip
    at = promised_instant(rule, measure, OWNERS, names, now=parse_iso("2026-06-10T10:00:00+02:00"))
    return None if at is None else to_iso(at)


def test_a_promise_counts_the_hours_of_its_owner_or_of_the_sender() -> None:
    tomorrow = "2026-06-11T08:00:00Z"
    assert promise(LetBusiness(1, owner="support"), {}) == tomorrow
    assert promise(LetBusiness(1), {}, sender="support") == tomorrow
    adviser = {"contact": {"adviser": "tom@shop.example"}}
    assert promise(LetBusiness(1), adviser, sender="contact.adviser") == tomorrow
    # Nobody is named, or somebody who has no hours: no time is promised.
    assert promise(LetBusiness(1), {"contact": {"adviser": "Tom"}}, sender="contact.adviser") is None
    assert promise(LetBusiness(1, owner="mira"), {}) is None


def test_a_time_that_the_event_gives_is_kept_while_it_is_ahead() -> None:
    rule = LetBusiness(1, owner="support", given="event.reply_by")
    ahead = "2026-06-10T08:30:00Z"
    assert promise(rule, {"event": {"reply_by": ahead}}) == ahead
    for past in ("2026-06-10T08:00:00Z", "2026-06-10T07:59:59Z", "0001-01-01", "soon", None):
        assert promise(rule, {"event": {"reply_by": past}}) == "2026-06-11T08:00:00Z"


@pytest.mark.parametrize(
    ("entity", "event", "owner"),
    [
        ({}, {"owner": "support"}, {"name": "Tom Adler", "address": "tom@shop.example"}),
        ({"owner": "mira"}, {"owner": "support"}, {"name": "Mira Lenz", "address": "mira@shop.example"}),
        ({}, {"owner": "MIRA@shop.example"}, {"name": "Mira Lenz", "address": "mira@shop.example"}),
        ({}, {"owner": " Jana Roth "}, {"name": "Jana Roth"}),
        ({}, {"owner": "Unassigned"}, None),
        ({}, {"owner": "null"}, None),
        ({}, {"owner": "jana@elsewhere.example"}, None),
        ({}, {"owner": 7}, None),
        ({}, {"agent": "Jonas", "owner": ""}, {"name": "Jonas"}),
        ({"agent": "mira"}, {"owner": "support"}, {"name": "Mira Lenz", "address": "mira@shop.example"}),
        ({}, {}, None),
    ],
)
def test_the_owner_of_a_case_is_a_name_or_nobody(
    entity: dict[str, Any], event: dict[str, Any], owner: dict[str, str] | None
) -> None:
    assert owner_of_run(OWNERS, {"entity": entity, "event": event}) == owner
