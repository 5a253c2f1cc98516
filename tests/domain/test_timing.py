"""Quiet hours and slots in the hour that autumn repeats, and at other odd places of the calendar."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain import timing
from nurture.domain.instant import DAY, parse_iso, to_iso
from nurture.domain.measure import LocalSlot
from nurture.domain.playbook import QuietHours
from nurture.domain.timing import is_quiet, next_outside_quiet_hours, next_slot
from tests.rig.examples import examples


def minutes(text: str) -> int:
    """Return the minute of the day."""
    return int(text[:2]) * 60 + int(text[3:])


@pytest.mark.parametrize(
    ("zone", "quiet", "at", "until"),
    [
        # Berlin repeats 02:00 to 03:00 on 25 October 2026; 01:10Z is 02:10 for the second time.
        ("Europe/Berlin", "22:00-02:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25T00:40:00Z", "2026-10-25T00:40:00Z"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-24T21:00:00Z", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "02:15-02:45", "2026-10-25T01:20:00Z", "2026-10-25T01:45:00Z"),
        # New York repeats 01:00 to 02:00 on 1 November 2026.
        ("America/New_York", "21:00-01:30", "2026-11-01T06:05:00Z", "2026-11-01T06:30:00Z"),
        # The Azores repeat the first hour of the day, Lord Howe half an hour.
        ("Atlantic/Azores", "20:00-00:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("Australia/Lord_Howe", "22:00-01:45", "2026-04-04T15:10:00Z", "2026-04-04T15:15:00Z"),
        # Berlin has no 02:30 on 29 March 2026: the first instant after the gap.
        ("Europe/Berlin", "22:00-02:30", "2026-03-29T00:10:00Z", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "22:00-07:00", "2026-07-01T21:00:00Z", "2026-07-02T05:00:00Z"),
        ("Europe/Berlin", "20:00-24:00", "2026-07-01T20:00:00Z", "2026-07-01T22:00:00Z"),
        ("Europe/Berlin", "00:00-07:00", "2026-07-01T23:00:00Z", "2026-07-02T05:00:00Z"),
    ],
)
def test_quiet_hours_end_at_their_next_end(zone: str, quiet: str, at: str, until: str) -> None:
    start, _, end = quiet.partition("-")
    hours = QuietHours(minutes(start), minutes(end))
    reached = next_outside_quiet_hours(hours, at=parse_iso(at), zone=zone)
    assert to_iso(reached) == until
    assert not is_quiet(hours, at=reached, zone=zone)


SLOTS = (
    LocalSlot(150, frozenset({6})),
    LocalSlot(600, frozenset({0, 3})),
    LocalSlot(0, month_day=31),
    LocalSlot(None, frozenset({1})),
)


@given(
    st.lists(st.integers(-40 * DAY, 40 * DAY), min_size=2, max_size=12),
    st.sampled_from(SLOTS),
    st.sampled_from(("UTC", "Europe/Berlin", "Pacific/Kiritimati")),
)
@settings(max_examples=examples(60), deadline=None)
def test_a_slot_is_the_same_whatever_was_asked_before(offsets: list[int], slot: LocalSlot, zone: str) -> None:
    clock_change = parse_iso("2026-03-29T01:00:00Z")
    instants = [clock_change + offset for offset in (*offsets, *sorted(offsets))]
    found = [next_slot(slot, after=after, zone=zone) for after in instants]
    # The end of one search is asked about too.
    found += [next_slot(slot, after=at, zone=zone) for at in found]
    timing._latest_search.cache_clear()
    for after, at in zip([*instants, *found[: len(instants)]], found, strict=True):
        assert timing._find_slot(slot, after=after, zone=zone) == at
