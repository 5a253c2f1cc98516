"""The mixture sequence: sums, intervals, epochs, the covariate and ratios."""

from math import inf, log
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

import pytest

from nurture.domain.experiment.averages import (
    ArmSums,
    Comparison,
    CovariateSums,
    adjusted,
    interval,
    linearised,
    log_e,
    narrowest,
    winsor_cap,
)


def comparison(treated: list[float], control: list[float]) -> Comparison:
    return Comparison(ArmSums.of(treated), ArmSums.of(control))


def drawn(random: Random, n: int, shift: float = 0.0) -> list[float]:
    return [random.gauss(10 + shift, 3) for _ in range(n)]


def test_the_interval_is_where_the_shifted_test_does_not_refute() -> None:
    random = Random(1)
    treated, control = drawn(random, 900, 1), drawn(random, 300)
    pair = comparison(treated, control)
    low, high = interval([pair], 1.0, 0.05)
    assert low < pair.difference < high
    assert low > 0
    # Refuting no difference and an interval without 0 say the same, up to which variance each of them takes.
    assert log_e([pair], 1.0) > log(20)
    shifted = comparison([value - high - 0.05 for value in treated], control)
    assert log_e([shifted], 1.0) > log(20) * 0.9


def test_epochs_narrow_the_interval_and_their_evidence_adds() -> None:
    random = Random(2)
    epochs = [comparison(drawn(random, 500, 1), drawn(random, 500)) for _ in range(3)]
    assert log_e(epochs, 1.0) == pytest.approx(sum(log_e([epoch], 1.0) for epoch in epochs))
    widths = [high - low for low, high in (interval(epochs[:n], 1.0, 0.05) for n in (1, 2, 3))]
    assert widths == sorted(widths, reverse=True)


def test_no_statement_before_ten_outcomes_may_be_expected_in_the_smaller_arm() -> None:
    few = comparison([1.0] * 90 + [0.0] * 9_000, [0.0] * 900)
    assert not few.is_warm()
    assert log_e([few], 0.01) == 0
    assert interval([few], 0.01, 0.05) == (-inf, inf)
    assert comparison([1.0] * 140 + [0.0] * 9_000, [0.0] * 1_000).is_warm()


def test_looks_intersect() -> None:
    assert narrowest([(-3, 5), (-1, 6), (-2, 4)]) == (-1, 4)
    assert narrowest([]) == (-inf, inf)


def test_the_covariate_takes_out_what_it_explains_and_leaves_the_difference() -> None:
    random = Random(3)

    def arm(n: int, effect: float) -> tuple[CovariateSums, ArmSums]:
        past = [random.gauss(50, 10) for _ in range(n)]
        values = [before + random.gauss(effect, 3) for before in past]
        product = sum(x * y for x, y in zip(past, values, strict=True))
        return CovariateSums(ArmSums.of(values), ArmSums.of(past), product), ArmSums.of(values)

    (treated, raw_treated), (control, raw_control) = arm(4000, 2), arm(4000, 0)
    plain, better = Comparison(raw_treated, raw_control), adjusted(treated, control)
    assert better.difference == pytest.approx(2, abs=0.3)
    assert better.standard_error < 0.4 * plain.standard_error
    nothing = CovariateSums(raw_treated, ArmSums.of([0.0] * 4000), 0.0)
    assert adjusted(nothing, nothing) == Comparison(raw_treated, raw_treated)


def test_a_ratio_is_judged_per_person_however_many_orders_each_has() -> None:
    # Money per order: 30 a piece in the first half, 20 in the second, with 1 to 5 orders a person.
    orders = [1 + n % 5 for n in range(1000)]
    values = linearised([(m * (30.0 if n < 500 else 20.0), m) for n, m in enumerate(orders)])
    pair = comparison(values[:500], values[500:])
    assert pair.difference == pytest.approx(10)
    assert linearised([(0.0, 0.0), (0.0, 0.0)]) == [0.0, 0.0]


def test_the_cap_is_a_quantile_of_the_positive_values() -> None:
    assert winsor_cap([0.0] * 50 + [float(n) for n in range(1, 101)]) == 100
    assert winsor_cap([5.0, 1.0], quantile=0.5) == 5
    assert winsor_cap([0.0]) == inf
