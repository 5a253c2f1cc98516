"""Guards, levels and the split check: fair at the bound, and loud beyond it."""

from collections.abc import Callable
from math import comb, exp, inf, log

import pytest

from nurture.domain.experiment.bounds import (
    SPLIT_ALARM,
    level_interval,
    log_e_above,
    log_e_below,
    log_e_split,
)


@pytest.mark.parametrize("log_e", [log_e_above, log_e_below])
def test_at_the_bound_the_expected_e_value_is_one(log_e: Callable[[int, int, float], float]) -> None:
    n, bound = 60, 0.05
    weights = [comb(n, x) * bound**x * (1 - bound) ** (n - x) for x in range(n + 1)]
    assert sum(w * exp(log_e(x, n, bound)) for x, w in enumerate(weights)) == pytest.approx(1)


def test_a_doubled_rate_trips_the_guard_and_a_halved_one_does_not() -> None:
    assert log_e_above(40, 4_000, 0.005) > log(80)
    assert log_e_above(10, 4_000, 0.005) < 0
    assert log_e_below(5, 4_000, 0.005) > log(20)


def test_the_level_interval_holds_the_rate() -> None:
    low, high = level_interval(250, 1000, 0.05)
    assert 0.2 < low < 0.25 < high < 0.31
    assert level_interval(0, 0, 0.05) == (0.0, 1.0)
    assert level_interval(0, 100, 0.05)[0] == 0.0
    assert level_interval(100, 100, 0.05)[1] == 1.0


def test_the_split_check_is_fair_and_finds_a_tilted_split() -> None:
    shares = {"a": 0.9, "b": 0.1}
    n = 50
    weights = [comb(n, x) * 0.9**x * 0.1 ** (n - x) for x in range(n + 1)]
    values = [exp(log_e_split({"a": x, "b": n - x}, shares)) for x in range(n + 1)]
    assert sum(w * e for w, e in zip(weights, values, strict=True)) == pytest.approx(1)
    assert log_e_split({"a": 9_000, "b": 1_000}, shares) < 0
    assert log_e_split({"a": 18_400, "b": 1_600}, shares) > SPLIT_ALARM
    assert log_e_split({"a": 5, "c": 1}, shares) == inf
    assert log_e_split({"a": 5, "b": 1}, {"a": 1.0, "b": 0.0}) == inf
