"""When a lane pauses its marketing by itself: limits, and the smallest numbers that count."""

import pytest

from nurture.domain.health.judge import judge
from nurture.domain.health.rates import WINDOW, reason_to_pause, window_start
from nurture.domain.health.signs import ProcessSign, RateSign, Signs
from nurture.domain.instant import DAY, HOUR, MINUTE

NOW = 1_000 * DAY


@pytest.mark.parametrize(
    ("sent", "hard_bounces", "complaints", "pauses"),
    [
        (1_000, 0, 0, False),
        # One of three says nothing, nor do nine of fifty.
        (2, 1, 0, False),
        (41, 9, 0, False),
        (89, 10, 0, False),
        (90, 10, 0, True),
        (91, 10, 0, False),
        (900, 100, 0, True),
        (901, 99, 0, False),
        # All that left bounced afterwards.
        (-20, 120, 0, True),
        (2, 0, 1, False),
        (400, 0, 40, False),
        (500, 0, 2, False),
        (500, 0, 3, True),
        (1_000, 0, 3, True),
        (1_001, 0, 3, False),
        (100_000, 0, 299, False),
        (100_000, 0, 300, True),
    ],
)
def test_a_lane_pauses_at_its_limits_and_not_on_small_numbers(
    sent: int, hard_bounces: int, complaints: int, pauses: bool
) -> None:
    rate = RateSign("main", sent=sent, hard_bounces=hard_bounces, complaints=complaints)
    assert bool(reason_to_pause(rate)) is pauses


def test_the_reason_names_the_share_and_the_numbers() -> None:
    assert reason_to_pause(RateSign("main", 90, 10)).startswith("10.00% (10 of 100) of its mails")
    assert reason_to_pause(RateSign("main", 1_000, 0, 0, 4)).startswith("0.40% (4 of 1000) of its mails")


def test_deferrals_pause_nothing() -> None:
    assert reason_to_pause(RateSign("main", sent=100, deferred=5_000)) == ""


def test_mails_before_an_operator_resumed_the_lane_do_not_count() -> None:
    assert window_start(NOW, None) == NOW - WINDOW
    assert window_start(NOW, NOW - 3 * DAY) == NOW - WINDOW
    resumed = NOW - HOUR + MINUTE
    assert window_start(NOW, resumed) == NOW - HOUR + 10 * MINUTE
    assert window_start(NOW, NOW) > NOW


def test_complaints_beyond_what_providers_allow_are_a_notice() -> None:
    processes = [ProcessSign("up", "h", 1, "1", NOW, NOW)]
    for complaints, keys in ((4, []), (5, ["complaints:main"])):
        rate = RateSign("main", 5_000, complaints=complaints)
        assert [finding.key for finding in judge(Signs(NOW, processes, lane_rates=[rate]))] == keys
