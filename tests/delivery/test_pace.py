"""The pure parts of pace: when a refused mail is tried again, and how a lane's bucket fills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.delivery.lanes import LaneState
from nurture.domain.backoff import compute_next_try
from nurture.domain.instant import DAY, MINUTE, SECOND

refusals = st.integers(1, 60)


@given(st.integers(1, 10**9), refusals, st.integers(0, 2**50))
def test_waits_are_spread_and_never_shorter_than_nine_tenths_of_the_one_before(
    message: int, count: int, now: int
) -> None:
    wait = compute_next_try(message, count, now=now) - now
    again = compute_next_try(message, count + 1, now=now) - now
    assert wait == compute_next_try(message, count, now=now) - now
    assert wait >= 0.9 * MINUTE
    assert again >= wait * 0.81


def test_a_requested_wait_is_kept_and_a_mail_not_begun_is_due_at_once() -> None:
    assert compute_next_try(1, 3, now=5, asked=0) == 5
    assert compute_next_try(1, 1, now=0, asked=DAY) == DAY
    assert compute_next_try(1, 9, now=0, reached=False) < 2 * MINUTE


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 400)), max_size=60),
)
def test_a_bucket_never_gives_more_than_its_rate_and_a_seconds_worth(
    rate: int, asks: list[tuple[int, int]]
) -> None:
    state, now, given_out, started = LaneState(rate, rate, 0), 0, 0, 0
    for pause, wanted in asks:
        now += pause
        available = state.available(now)
        assert available is not None
        granted = min(wanted, available)
        assert granted >= 0
        state = state.after_sending(granted, now)
        given_out += granted
        assert given_out <= rate + (now - started) * rate // SECOND + 1


def test_a_patient_bucket_gives_its_whole_rate() -> None:
    state, given_out = LaneState(7, 0, 0), 0
    for step in range(1, 101):
        now = step * SECOND // 10
        available = state.available(now) or 0
        given_out += available
        state = state.after_sending(available, now)
    assert given_out == pytest.approx(70, abs=1)


def test_a_lane_without_a_rate_gives_everything_unless_it_rests() -> None:
    assert LaneState(None, 0, 0).available(5) is None
    assert LaneState(None, 0, 9).available(5) == 0
    assert LaneState(None, 0, 0).after_sending(9, 5) == LaneState(None, 0, 0)
