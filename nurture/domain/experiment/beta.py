"""Beta and gamma functions that the e-processes need, in logarithms.

The incomplete beta function is the continued fraction of the Digital Library of Mathematical Functions, 8.17.22,
evaluated by Lentz's method; the incomplete gamma function is the series 8.7.1 and the continued fraction 8.9.2.
"""

from math import exp, inf, lgamma, log, log1p
from typing import Final

_ROUNDS_MAX: Final = 10_000
_CLOSE: Final = 1e-15
#: Stands for a zero denominator in Lentz's method.
_TINY: Final = 1e-300


def log_beta(a: float, b: float) -> float:
    """Return ln B(a, b) for a, b > 0."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_add(*terms: float) -> float:
    """Return ln(sum of exp(term))."""
    largest = max(terms)
    if largest == -inf:
        return -inf
    return largest + log(sum(exp(term - largest) for term in terms))


def log_lower(x: float, a: float, b: float) -> float:
    """Return ln I_x(a, b), the logarithm of P(X <= x) for X ~ Beta(a, b) and 0 < x < 1."""
    if x < (a + 1) / (a + b + 2):
        return _log_front(x, a, b) + log(_fraction(x, a, b) / a)
    upper = exp(_log_front(1 - x, b, a) + log(_fraction(1 - x, b, a) / b))
    return log1p(-upper) if upper < 1 else -inf


def log_upper(x: float, a: float, b: float) -> float:
    """Return ln P(X > x) for X ~ Beta(a, b) and 0 < x < 1."""
    return log_lower(1 - x, b, a)


def _log_front(x: float, a: float, b: float) -> float:
    return a * log(x) + b * log1p(-x) - log_beta(a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ROUNDS_MAX):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def chi_square_upper(q: float, degrees: int) -> float:
    """Return P(X > q) for X ~ chi-square with so many degrees of freedom."""
    if q <= 0:
        return 1.0
    a, x = degrees / 2, q / 2
    front = exp(a * log(x) - x - lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, _ROUNDS_MAX):
            term *= x / (a + n)
            total += term
            if term < total * _CLOSE:
                break
        return max(0.0, 1 - front * total)
    b, c = x + 1 - a, 1 / _TINY
    d = 1 / _off_zero(b)
    value = d
    for n in range(1, _ROUNDS_MAX):
        term = -n * (n - a)
        b += 2
        d = 1 / _off_zero(term * d + b)
        c = _off_zero(b + term / c)
        value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return front * value
