"""Verdicts, many verdicts, several arms, and how many people they need."""

from math import inf, log

import pytest

from nurture.domain.experiment.arms import alpha_per_pair, eliminate, heterogeneity, shrunken
from nurture.domain.experiment.sample_size import people_for_means, people_for_rates, weeks
from nurture.domain.experiment.verdicts import Evidence, e_bh, verdicts

STRONG = log(1000)


def test_each_verdict_is_read_from_its_own_number() -> None:
    assert verdicts(Evidence(0.02, STRONG, -1, 0.01, 0.03)) == ("works",)
    assert verdicts(Evidence(-0.02, STRONG, STRONG, -0.03, -0.01)) == ("harms",)
    assert verdicts(Evidence(0.01, 0.5, -1, -0.01, 0.015, expected=0.02)) == ("misses",)
    assert verdicts(Evidence(0.03, STRONG, -1, 0.02, 0.04, expected=0.02)) == ("works", "reaches")
    assert verdicts(Evidence(0.01, STRONG, -1, 0.005, 0.015, expected=0.02)) == ("works", "misses")
    assert verdicts(Evidence(0.0, 0.0, 0.0, -inf, inf, expected=0.02)) == ("undecided",)


def test_a_metric_that_should_fall_swaps_the_sides() -> None:
    falls = Evidence(-0.02, STRONG, -1, -0.03, -0.012, expected=-0.01, should_fall=True)
    assert verdicts(falls) == ("works", "reaches")
    rises = Evidence(0.02, STRONG, -1, 0.01, 0.03, expected=-0.01, should_fall=True)
    assert verdicts(rises) == ("harms", "misses")


def test_a_guard_alone_harms_and_two_guards_share_their_half() -> None:
    tripped = {"unsubscribed": log(85), "complained": 0.0}
    assert verdicts(Evidence(0.02, 0.0, 0.0, -1, 1, guards=tripped)) == ("harms",)
    assert verdicts(Evidence(0.02, 0.0, 0.0, -1, 1, guards={"unsubscribed": log(75), "complained": 0.0})) == (
        "undecided",
    )


def test_discoveries_hold_together() -> None:
    values = {"a": log(100), "b": log(40), "c": log(12), "d": 0.0}
    # Sorted: 100 >= 4 / 0.1, 40 >= 4 / 0.2, but 12 < 4 / 0.3.
    assert e_bh(values) == {"a", "b"}
    assert e_bh({"a": 0.0}) == frozenset()
    # A later one may carry earlier ones that would not stand alone.
    assert e_bh({"a": log(25), "b": log(25)}) == {"a", "b"}


def test_the_cheapest_arm_that_is_not_shown_to_be_worse_wins() -> None:
    costs = {"none": 0.0, "ten": 1.0, "twenty": 2.0}
    race = eliminate(
        {("ten", "none"): (0.5, 3.0), ("twenty", "none"): (-1.0, 2.0), ("twenty", "ten"): (-2.0, 0.2)},
        costs,
        close=0.3,
    )
    assert race.eliminated == ("none",)
    assert race.live == ("ten", "twenty")
    assert race.winner == "ten"
    still_open = eliminate({("ten", "none"): (-1.0, 3.0)}, {"none": 0.0, "ten": 1.0}, close=0.3)
    assert still_open.winner is None
    assert (
        eliminate({("ten", "none"): (-1.0, 3.0)}, {"none": 0.0, "ten": 1.0}, close=0.3, is_over=True).winner
        == "none"
    )
    assert alpha_per_pair(0.05, 4) == pytest.approx(0.05 / 6)
    assert alpha_per_pair(0.05, 1) == 0.05


def test_uncertain_cells_are_drawn_to_the_mean() -> None:
    sure, unsure = shrunken([(0.05, 0.0001), (0.30, 0.04), (0.01, 0.0001)])[:2]
    assert sure == pytest.approx(0.05, abs=0.01)
    assert unsure < 0.10
    q, degrees = heterogeneity([(1.0, 1.0), (3.0, 1.0)])
    assert q == pytest.approx(2.0)
    assert degrees == 1


def test_the_number_of_people_is_the_published_one() -> None:
    # 5 to 7 %: 4,419 people at 50 %, 10,740 at 10 %, 19,986 at 5 % held back, to the rounding of the factor.
    for holdout, people in ((0.5, 4419), (0.1, 10740), (0.05, 19986)):
        assert people_for_rates(0.05, 0.02, holdout) == pytest.approx(people, rel=0.03)
    assert people_for_means(10.0, 0.2, 0.5) == pytest.approx(78_500)
    assert weeks(1000, 100) == pytest.approx(24)
    assert weeks(1000, 0) is None
