"""Beta and gamma functions against exact sums and published values."""

from math import comb, exp, inf, log

import pytest

from nurture.domain.experiment.beta import chi_square_upper, log_add, log_lower, log_upper


def binomial_tail(x: float, a: int, b: int) -> float:
    n = a + b - 1
    return sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))


@pytest.mark.parametrize(
    ("x", "a", "b"), [(0.2, 3, 5), (0.9, 10, 4), (0.5, 1, 1), (0.45, 50, 70), (0.01, 1, 99), (0.99, 200, 3)]
)
def test_incomplete_beta_is_the_tail_of_a_binomial(x: float, a: int, b: int) -> None:
    assert exp(log_lower(x, a, b)) == pytest.approx(binomial_tail(x, a, b), rel=1e-10)
    assert exp(log_lower(x, a, b)) + exp(log_upper(x, a, b)) == pytest.approx(1)


# The 5 % points of NIST's table of the chi-square distribution.
@pytest.mark.parametrize(("q", "degrees"), [(3.841, 1), (5.991, 2), (18.307, 10), (124.342, 100)])
def test_chi_square_has_its_table_values(q: float, degrees: int) -> None:
    assert chi_square_upper(q, degrees) == pytest.approx(0.05, abs=2e-5)


def test_chi_square_of_nothing_is_certain() -> None:
    assert chi_square_upper(0, 3) == 1


def test_terms_add_without_leaving_the_numbers() -> None:
    assert log_add(-2000, -2000) == pytest.approx(-2000 + log(2))
    assert log_add(-inf, -inf) == -inf
