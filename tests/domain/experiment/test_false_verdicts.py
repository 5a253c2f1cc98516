"""Experiments without any effect, looked at every day: how many ever stop, by the product's own functions."""

from math import log
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

import pytest

from nurture.domain.experiment import averages, labels
from nurture.domain.experiment.averages import ArmSums, Comparison
from nurture.domain.experiment.bounds import log_e_above

RUNS = 100
DAYS = 40
A_DAY = 500


def binomial(random: Random, n: int, p: float) -> int:
    """Draw by the gaps between successes: as many steps as there are successes."""
    count, place, log_no = 0, 0, log(1 - p)
    while True:
        place += int(log(1 - random.random()) / log_no) + 1
        if place > n:
            return count
        count += 1


def money(random: Random, count: int, sigma: float) -> tuple[float, float]:
    values = [random.lognormvariate(3, sigma) for _ in range(count)]
    return sum(values), sum(value * value for value in values)


def play(random: Random, holdout: float, rate: float, sigma: float) -> tuple[bool, bool]:
    """Return whether conversions, and whether money, ever refute "no difference"."""
    sizes = (round(A_DAY * (1 - holdout)), round(A_DAY * holdout))
    events, totals, squares = [0, 0], [0.0, 0.0], [0.0, 0.0]
    by_label = by_money = False
    for day in range(1, DAYS + 1):
        for arm in (0, 1):
            count = binomial(random, sizes[arm], rate)
            total, square = money(random, count, sigma)
            events[arm] += count
            totals[arm] += total
            squares[arm] += square
        counts = labels.LabelCounts(events[0], sum(events), 1 - holdout)
        by_label = by_label or labels.log_e([counts]) >= log(20)
        arms = [ArmSums(sizes[arm] * day, totals[arm], squares[arm], events[arm]) for arm in (0, 1)]
        by_money = by_money or averages.log_e([Comparison(*arms)], 0.2) >= log(20)
    return by_label, by_money


def test_at_most_five_percent_ever_stop() -> None:
    random = Random(20261130)
    stopped = [play(random, 0.05, 0.02, 1.5) for _ in range(RUNS)]
    assert sum(by_label for by_label, _ in stopped) <= 0.05 * RUNS
    assert sum(by_money for _, by_money in stopped) <= 0.05 * RUNS


def test_with_each_arms_own_variance_far_more_would_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpooled(epoch: Comparison, tau: float) -> float:
        variance = epoch.standard_error**2
        gain = epoch.difference**2 * tau**2 / (2 * variance * (variance + tau**2))
        return 0.5 * log(variance / (variance + tau**2)) + gain

    monkeypatch.setattr(averages, "_log_e_of", unpooled)
    monkeypatch.setattr(averages, "EVENTS_MIN", 0)
    random = Random(20261130)
    stopped = [play(random, 0.05, 0.02, 1.5) for _ in range(RUNS)]
    assert sum(by_money for _, by_money in stopped) > 0.10 * RUNS


def test_a_guard_at_its_bound_rarely_stops() -> None:
    random = Random(7)
    stopped = 0
    for _ in range(RUNS):
        count = n = 0
        is_over = False
        for _day in range(DAYS):
            n += A_DAY
            count += binomial(random, A_DAY, 0.005)
            is_over = is_over or log_e_above(count, n, 0.005) >= log(80)
        stopped += is_over
    assert stopped <= 0.05 * RUNS
