"""The next change of an answer with time alone: exact for each kind of term, and never missed."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import Condition, Reading
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, parse_iso, to_iso
from tests.domain.conditions.samples import (
    EVES,
    NOW,
    ZONES,
    a_condition,
    a_reading,
    conditions,
    facts,
    moving_conditions,
    unshrunk,
)
from tests.rig.examples import examples

QUARTER = 15 * MINUTE


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("days_since(renewal_at) > 3", {"renewal_at": NOW - HOUR}, NOW - HOUR + 4 * DAY),
        ("days_since(renewal_at) >= 3", {"renewal_at": NOW - HOUR}, NOW - HOUR + 3 * DAY),
        ("days_since(renewal_at) == 0", {"renewal_at": NOW - HOUR}, NOW - HOUR + DAY),
        ("days_since(renewal_at) != 2", {"renewal_at": NOW}, NOW + 2 * DAY),
        ("days_since(renewal_at) in [5, 2]", {"renewal_at": NOW}, NOW + 2 * DAY),
        ("days_since(renewal_at) > 3", {"renewal_at": NOW - 9 * DAY}, None),
        ("days_since(renewal_at) > 3", {}, None),
        ("days_since(first_order_at) > 3", {}, None),
        ("days_since(renewal_at) > 500", {"renewal_at": NOW}, NOW + 400 * DAY),
        ("days_since(renewal_at) > orders + 1", {"renewal_at": NOW, "orders": 1}, NOW + 3 * DAY),
        ("days_since(renewal_at) - rate < 0", {"renewal_at": NOW, "rate": 15}, NOW + 2 * DAY),
        ("days_until(renewal_at) < 3", {"renewal_at": NOW + 5 * DAY}, NOW + 2 * DAY + 1),
        ("days_until(renewal_at) <= 3", {"renewal_at": NOW + 5 * DAY}, NOW + DAY + 1),
        ("days_until(renewal_at) >= 0", {"renewal_at": NOW}, NOW + 1),
        ("days_until(renewal_at) == 2", {"renewal_at": NOW + 5 * DAY}, NOW + 2 * DAY + 1),
        ("renewal_at > now", {"renewal_at": NOW + HOUR}, NOW + HOUR),
        ("now > renewal_at", {"renewal_at": NOW + HOUR}, NOW + HOUR + 1),
        ("renewal_at == now", {"renewal_at": NOW + HOUR}, NOW + HOUR),
        ("renewal_at > now", {"renewal_at": NOW}, None),
        ("first_order_at < now", {}, None),
        ("now >= '2026-11-23'", {}, NOW + 14 * HOUR),
        ("(renewal_at or now) > '2026-11-23'", {}, NOW + 14 * HOUR + 1),
        ("max(renewal_at, first_order_at) < now", {"renewal_at": NOW + DAY}, NOW + DAY + 1),
        ("silent_days('Signed In') > 30", {"last:Signed In": NOW - DAY}, NOW + 30 * DAY),
        ("silent_days('Signed In') > 100", {}, NOW + 11 * DAY),
        ("views_7d >= 2", {"views_7d": [NOW - 5 * DAY, NOW - 2 * DAY, NOW]}, NOW + 5 * DAY),
        ("views_7d >= 2", {"views_7d": [NOW - 2 * DAY, NOW - 2 * DAY]}, NOW + 5 * DAY),
        ("views_7d > orders", {"views_7d": [NOW - 2 * DAY], "orders": 0}, NOW + 5 * DAY),
        ("views_7d >= 1", {"views_7d": [NOW - 7 * DAY]}, None),
        ("(clicks_1d or 3) >= 2", {}, None),
        ("(days_since(renewal_at) or days_since(first_seen_at)) > 95", {}, NOW + 6 * DAY),
        ("(clicks_1d or 3) >= 1", {"clicks_1d": [NOW - HOUR]}, NOW + 23 * HOUR),
        # the first of several parts that ends a yes ends all of them, the last that ends a no
        (
            "views_7d >= 1 and days_since(renewal_at) < 2",
            {"views_7d": [NOW - DAY], "renewal_at": NOW},
            NOW + 2 * DAY,
        ),
        (
            "views_7d >= 1 and days_since(renewal_at) < 9",
            {"views_7d": [NOW - DAY], "renewal_at": NOW},
            NOW + 6 * DAY,
        ),
        (
            "views_7d < 1 and days_since(renewal_at) >= 9",
            {"views_7d": [NOW - DAY], "renewal_at": NOW},
            NOW + 9 * DAY,
        ),
        (
            "views_7d < 1 or days_since(renewal_at) >= 9",
            {"views_7d": [NOW - DAY], "renewal_at": NOW},
            NOW + 6 * DAY,
        ),
        (
            "views_7d >= 1 or days_since(renewal_at) < 9",
            {"views_7d": [NOW - DAY], "renewal_at": NOW},
            NOW + 9 * DAY,
        ),
        # a part that is decided for good makes the rest need no look
        ("orders >= 1 and local_hour() == 3", {}, None),
        ("orders == 0 or local_hour() == 3", {}, None),
        ("vip and days_since(renewal_at) > 3", {"renewal_at": NOW}, NOW + 4 * DAY),
        ("vip or days_since(renewal_at) > 3", {"renewal_at": NOW}, NOW + 4 * DAY),
        ("not (days_since(renewal_at) > 3)", {"renewal_at": NOW}, NOW + 4 * DAY),
        ("(days_since(renewal_at) > 3) is not no", {"renewal_at": NOW}, NOW + 4 * DAY),
        ("known(days_since(renewal_at))", {"renewal_at": NOW}, None),
        ("orders >= 1", {"orders": 0}, None),
    ],
)
def test_the_next_change_is_exact(text: str, found: dict[str, Any], expected: Instant | None) -> None:
    reading = a_reading(**found)
    assert a_condition(text).next_change(reading) == expected


@pytest.mark.parametrize(
    ("text", "zone", "now", "expected"),
    [
        ("local_weekday() == 'mon'", "UTC", "2026-11-22T10:00:00Z", "2026-11-23T00:00:00Z"),
        (
            "local_weekday() in ['sat', 'sun']",
            "Asia/Shanghai",
            "2026-11-22T10:00:00Z",
            "2026-11-22T16:00:00Z",
        ),
        ("local_weekday() == 'tue'", "Pacific/Kiritimati", "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("local_day() == 1", "Etc/GMT+12", "2026-11-22T10:00:00Z", "2026-12-01T12:00:00Z"),
        ("local_month() == 12", "Asia/Kathmandu", "2026-11-22T10:00:00Z", "2026-11-30T18:15:00Z"),
        ("local_hour() >= 9", "America/New_York", "2026-11-22T10:00:00Z", "2026-11-22T14:00:00Z"),
        # the hour from two to three does not exist, then exists twice
        ("local_hour() == 2", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-30T00:00:00Z"),
        ("local_hour() >= 3", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"),
        ("local_hour() == 2", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"),
        ("local_hour() == 1", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-04T15:30:00Z"),
        # midnight itself does not exist that day
        ("local_day() == 6", "America/Santiago", "2026-09-06T03:30:00Z", "2026-09-06T04:00:00Z"),
        # together: the first moment of the first Friday the thirteenth, the first of the leap days' hours
        (
            "local_day() == 13 and local_weekday() == 'fri'",
            "UTC",
            "2026-03-14T00:00:00Z",
            "2026-11-13T00:00:00Z",
        ),
        ("local_month() == 12 and local_hour() == 3", "UTC", "2026-05-01T00:00:00Z", "2026-12-01T03:00:00Z"),
        ("local_day() == 29 and local_month() == 2", "UTC", "2027-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_calendars_change_at_local_boundaries(text: str, zone: str, now: str, expected: str) -> None:
    reading = a_reading(now=parse_iso(now), zone=zone)
    found = a_condition(text).next_change(reading)
    assert found is not None
    assert to_iso(found) == expected


@pytest.mark.parametrize("text", ["local_hour() < 24", "local_day() > 31", "local_weekday() == 'friday'"])
def test_an_answer_that_no_calendar_can_change_never_changes(text: str) -> None:
    assert a_condition(text).next_change(a_reading()) is None


def test_a_change_after_the_horizon_is_reported_as_the_horizon() -> None:
    condition = a_condition("local_day() == 29 and local_month() == 2")
    assert condition.next_change(a_reading(now=NOW)) == NOW + 400 * DAY


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("eve", EVES, ids=to_iso)
def test_every_minute_around_a_change_of_the_clocks(zone: str, eve: Instant) -> None:
    asked = [
        a_condition(text)
        for text in (
            "local_hour() == 2",
            "local_hour() in [0, 1, 3]",
            "local_weekday() == 'sun'",
            "local_day() == 29",
        )
    ]
    for condition in asked:
        _check_walk(
            condition, a_reading(now=eve, zone=zone), (eve + step * MINUTE for step in range(1, 2 * 1440))
        )


@settings(unshrunk, max_examples=examples(80))
@given(data=st.data(), text=conditions, now=st.sampled_from(EVES), zone=st.sampled_from(ZONES))
def test_no_change_is_missed(data: st.DataObject, text: str, now: Instant, zone: str) -> None:
    reading = Reading(data.draw(facts(now)), now, zone)
    condition = a_condition(text)
    if condition.moving:
        _check_walk(condition, reading, _moments(reading, days=14))
        _check_far(condition, reading)
    else:
        assert condition.next_change(reading) is None


@settings(unshrunk, max_examples=examples(80))
@given(data=st.data(), text=moving_conditions, now=st.sampled_from(EVES), zone=st.sampled_from(ZONES))
def test_no_change_of_several_moving_parts_is_missed(
    data: st.DataObject, text: str, now: Instant, zone: str
) -> None:
    reading = Reading(data.draw(facts(now, complete=True)), now, zone)
    condition = a_condition(text)
    _check_walk(condition, reading, _moments(reading, days=14))
    _check_far(condition, reading)


def _check_walk(condition: Condition, reading: Reading, moments: Iterator[Instant]) -> None:
    """Compare the answer at every moment with a walk from change to change."""
    answer, until = condition.truth(reading), condition.next_change(reading)
    for moment in sorted(moments):
        at = Reading(reading.facts, moment, reading.zone)
        if until is not None and moment >= until:
            before = Reading(reading.facts, until - 1, reading.zone)
            turned = Reading(reading.facts, until, reading.zone)
            assert condition.truth(before) is answer
            assert condition.truth(turned) is not answer
            answer, until = condition.truth(turned), condition.next_change(turned)
            # Between two moments an answer may turn more than once only where they are far apart.
            while until is not None and moment >= until:
                turned = Reading(reading.facts, until, reading.zone)
                answer, until = condition.truth(turned), condition.next_change(turned)
        assert condition.truth(at) is answer, (condition.text, to_iso(moment))


def _moments(reading: Reading, *, days: int) -> Iterator[Instant]:
    """Yield every instant at which an answer could change within some days, without using the conditions."""
    first = reading.now - reading.now % QUARTER + QUARTER
    yield from range(first, reading.now + days * DAY, QUARTER)
    stored = [
        value for fact in reading.facts.values() for value in (fact if isinstance(fact, list) else [fact])
    ]
    for value in stored:
        if isinstance(value, int) and abs(value) > DAY:
            start = value + (reading.now - value) // DAY * DAY
            yield from (start + day * DAY + beside for day in range(1, days) for beside in (-1, 0, 1))


def _check_far(condition: Condition, reading: Reading) -> None:
    """Check that nothing changes before the reported change, nor within a year when none is reported."""
    until = condition.next_change(reading)
    end = reading.now + 400 * DAY if until is None else until
    answer = condition.truth(reading)
    for moment in range(reading.now, end, 7 * HOUR):
        assert condition.truth(Reading(reading.facts, moment, reading.zone)) is answer
