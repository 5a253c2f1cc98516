"""Time in a stage with competing exits, against values worked by hand and a made-up truth."""

from collections import Counter
from math import exp, log
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

import pytest

from nurture.domain.figures.shares import wilson
from nurture.domain.figures.time_in_stage import Stays, estimate


def test_five_people_worked_by_hand() -> None:
    # Of five, one goes on after 1 day; one is still there after 2; of three, one goes back after 3, one on after 4.
    found = estimate(
        [Stays(1, "on", 1), Stays(2, "", 1), Stays(3, "back", 1), Stays(4, "on", 1), Stays(5, "", 1)]
    )
    assert (found.people, found.ended) == (5, 3)
    on, back = found.share_left("on", 4), found.share_left("back", 4)
    assert on is not None
    assert back is not None
    # 1/5, then 4/5 stay; 1/3 of them goes back, 8/15 stay; a half of those goes on.
    assert on.value == pytest.approx(1 / 5 + 8 / 15 / 2)
    assert back.value == pytest.approx(4 / 5 / 3)
    assert found.share_left("on", 3) == pytest.approx(wilson(1 / 5, 5))
    assert found.days_until(0.4) == 3
    assert found.days_until(0.9) is None


def test_without_open_stays_the_interval_is_that_of_a_share() -> None:
    found = estimate([Stays(day, "on", 5) for day in range(1, 11)])
    for days in (1, 3, 7):
        assert found.share_left("on", days) == pytest.approx(wilson(days / 10, 50))


def test_a_made_up_truth_is_found_where_simple_counts_are_wrong() -> None:
    draw, truth, people = Random(7), 0, 4_000
    counts: Counter[tuple[int, str]] = Counter()
    for _ in range(people):
        # 1 % a day goes on, 1.5 % leaves otherwise; people came over 120 days, so most stays are open.
        on, off = (-log(1 - draw.random()) / rate for rate in (0.010, 0.015))
        seen = draw.random() * 120
        truth += on < off and on <= 60
        counts[int(min(on, off, seen)), "" if seen < min(on, off) else "on" if on < off else "off"] += 1
    found = estimate([Stays(days, name, number) for (days, name), number in counts.items()])
    on_share = found.share_left("on", 59)
    assert on_share is not None
    assert on_share.low < 0.4 * (1 - exp(-0.025 * 60)) < on_share.high
    assert on_share.value == pytest.approx(truth / people, abs=0.02)
    # One tenth is still there after ln 10 / 0.025 = 92 days.
    assert found.days_until(0.9) == pytest.approx(92, abs=5)
    finished = sorted(days for (days, name), number in counts.items() if name for _ in range(number))
    assert finished[int(0.9 * len(finished))] < 75, (
        "of the finished stays alone too many would be called late"
    )


def test_the_interval_of_a_share_worked_by_hand() -> None:
    # 1.96^2 = 3.8416: of 6 people none, (0 to 3.8416 / 9.8416); of 20 people 4.
    assert wilson(0, 6) == pytest.approx((0, 0, 0.39034), abs=1e-5)
    assert wilson(0.2, 20) == pytest.approx((0.2, 0.08066, 0.41602), abs=1e-5)
    found = estimate([Stays(1, "", 6)]).share_left("on", 9)
    assert found == wilson(0, 6)


def test_few_ended_stays_say_nothing_about_what_is_usual() -> None:
    assert estimate([Stays(3, "on", 19)]).usual_days() is None
    assert estimate([Stays(3, "on", 20)]).usual_days() == 3
    assert estimate([]).share_left("on", 9) is None
