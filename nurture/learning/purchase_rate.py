"""How often people buy and whether they still do: the BG/NBD model of Fader, Hardie and Lee (2005).

A customer buys at a steady rate and stops after each purchase with a fixed probability; rates follow a gamma
distribution (r, alpha), probabilities a beta distribution (a, b). Time is in weeks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nurture.learning.arrays import Floats, Integers
from nurture.learning.purchases import WEEK, Histories
from nurture.learning.simplex import minimise

#: Logarithms of parameters stay within it, so that no round overflows.
_LOG_MAX: Final = 12.0
_TERMS_MAX: Final = 2_000
_TERM_MIN: Final = 1e-12


@dataclass(frozen=True, slots=True)
class PurchaseRate:
    """A fitted model."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def alive(self, known: Histories) -> Floats:
        """Return of each customer the probability that they still buy."""
        repeats, last, age = known.repeats, *_weeks(known)
        odds = self.a / (self.b + np.maximum(repeats, 1) - 1)
        odds = odds * ((self.alpha + age) / (self.alpha + last)) ** (self.r + repeats)
        probability: Floats = 1 / (1 + np.where(repeats > 0, odds, 0.0))
        return probability

    def expected(self, known: Histories, weeks: float) -> Floats:
        """Return of each customer how often they are expected to buy in the next weeks."""
        repeats, _, age = known.repeats, *_weeks(known)
        a = self.a if abs(self.a - 1) > 1e-6 else self.a + 1e-6
        z = weeks / (self.alpha + age + weeks)
        series = _hypergeometric(a + self.b - 1 - self.r, a - 1, a + self.b + repeats - 1, z)
        number = (a + self.b + repeats - 1) / (a - 1) * (1 - (1 - z) ** (a - 1) * series)
        expected: Floats = number * self.alive(known)
        return expected

    def buys(self, known: Histories, weeks: float) -> Floats:
        """Return of each customer the probability that they buy in the next weeks."""
        age = _weeks(known)[1]
        none = ((self.alpha + age) / (self.alpha + age + weeks)) ** (self.r + known.repeats)
        probability: Floats = self.alive(known) * (1 - none)
        return probability


def _weeks(known: Histories) -> tuple[Floats, Floats]:
    """Return the weeks from the first purchase to the last, and to now."""
    return (known.tenure - known.silence) / WEEK, known.tenure / WEEK


def _hypergeometric(first: float, second: float, third: Floats, z: Floats) -> Floats:
    """Return Gauss's 2F1(first, second; third; z) for 0 <= z < 1."""
    term = np.ones_like(z)
    total = np.ones_like(z)
    for n in range(_TERMS_MAX):
        term = term * (first + n) * (second + n) / ((third + n) * (n + 1)) * z
        total = total + term
        if float(np.abs(term).max(initial=0.0)) < _TERM_MIN:
            break
    return total


def fit_purchase_rate(known: Histories) -> PurchaseRate:
    """Fit the model to customers, who count together where their histories are equal."""
    last, age = _weeks(known)
    rows, counts = np.unique(np.column_stack([known.repeats, last, age]), axis=0, return_counts=True)
    cells = _Cells(rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 2], counts.astype(np.float64))
    best = minimise(cells.negative_log_likelihood, np.log(np.array([0.25, 4.0, 0.8, 2.5])))
    r, alpha, a, b = (float(value) for value in np.exp(best))
    return PurchaseRate(r, alpha, a, b, -cells.negative_log_likelihood(best))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Customers of equal history: repeats, weeks until the last purchase and until now, and how many they are."""

    repeats: Integers
    last: Floats
    age: Floats
    people: Floats

    def negative_log_likelihood(self, logs: Floats) -> float:
        r, alpha, a, b = np.exp(np.clip(logs, -_LOG_MAX, _LOG_MAX))
        repeats, is_again = self.repeats, self.repeats > 0
        stayed = -(r + repeats) * np.log(alpha + self.age)
        before = np.maximum(repeats, 1) - 1
        left = np.log(a / (b + before)) - (r + repeats) * np.log(alpha + self.last)
        both = np.where(is_again, np.logaddexp(stayed, left), stayed)
        # Quotients of gamma functions are products, as repeats are whole numbers.
        most = int(repeats.max(initial=0))
        rising = _log_rising(r, most) + _log_rising(b, most) - _log_rising(a + b, most)
        each_customer = rising[repeats] + r * np.log(alpha) + both
        return -float((self.people * each_customer).sum())


def _log_rising(base: float, most: int) -> Floats:
    """Return log(gamma(base + n) / gamma(base)) for n = 0 .. most."""
    logs: Floats = np.concatenate([[0.0], np.cumsum(np.log(base + np.arange(most)))])
    return logs
