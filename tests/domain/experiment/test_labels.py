"""The label e-process: fair on the average, epochs multiply, and its interval holds the estimate."""

from math import comb, exp, inf, log

import pytest

from nurture.domain.experiment.labels import (
    LabelCounts,
    estimate_ratio,
    log_e,
    log_e_one_sided,
    ratio_interval,
)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_without_an_effect_the_expected_e_value_is_one(share: float, n: int) -> None:
    weights = [comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(n + 1)]
    counts = [[LabelCounts(x, n, share)] for x in range(n + 1)]
    assert sum(w * exp(log_e(c)) for w, c in zip(weights, counts, strict=True)) == pytest.approx(1)
    for direction in ("less", "more"):
        total = sum(w * exp(log_e_one_sided(c, direction)) for w, c in zip(weights, counts, strict=True))
        assert total == pytest.approx(1)


def test_harm_is_seen_by_the_side_that_looks_for_it() -> None:
    fewer = [LabelCounts(800, 1000, 0.9)]
    assert log_e_one_sided(fewer, "less") > log(40)
    assert log_e_one_sided(fewer, "more") < 0


@pytest.mark.parametrize("treated", range(700, 901, 25))
def test_a_value_is_worked_out_where_it_can_exceed_the_bound(treated: int) -> None:
    counts = [LabelCounts(treated, 1000, 0.8), LabelCounts(treated // 10, 100, 0.9)]
    value = log_e_one_sided(counts, "less")
    for bound in (value - 1e-6, value - 5):
        assert log_e_one_sided(counts, "less", above=bound) == value
    assert log_e_one_sided(counts, "less", above=value + 1e-6) <= value + 1e-6
    assert log_e_one_sided(counts, "less", above=1e6) >= value, "only an upper bound of it"


def test_epochs_multiply_and_are_not_thrown_together() -> None:
    early, late = LabelCounts(500, 1000, 0.5), LabelCounts(180, 200, 0.9)
    assert log_e([early, late]) == pytest.approx(log_e([early]) + log_e([late]))
    # The totals with the mean share would claim that the measure harms.
    thrown = LabelCounts(680, 1200, 0.7)
    assert log_e([thrown]) > log(20) > 0 > log_e([early, late])


@pytest.mark.parametrize(("x", "n", "share"), [(60, 100, 0.5), (930, 1000, 0.9), (5, 5, 0.5), (0, 5, 0.5)])
def test_the_interval_holds_the_estimate_and_refutes_outside(x: int, n: int, share: float) -> None:
    counts = [LabelCounts(x, n, share)]
    low, high = ratio_interval(counts, 0.05)
    estimate = estimate_ratio(counts)
    assert estimate is not None
    assert low <= estimate <= high
    for bound in (low, high):
        if 0 < bound < inf:
            assert log_e(counts, ratio=bound) == pytest.approx(log(20), abs=1e-6)


def test_nothing_is_known_before_the_first_outcome() -> None:
    assert ratio_interval([LabelCounts(0, 0, 0.5)], 0.05) == (0.0, inf)
    assert estimate_ratio([]) is None
    assert log_e([LabelCounts(0, 0, 0.9)]) == pytest.approx(0)
