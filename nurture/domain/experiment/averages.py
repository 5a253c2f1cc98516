"""The mixture sequence: averages per person, such as money, compared between two arms at any number of looks.

The test of "no difference" takes the variance of both arms thrown together. With a small share held back, a handful
of large orders decides the variance of that arm, and its mean and variance are small together; a test that uses each
arm's own variance then stops falsely in up to half of all experiments (docs/adr/0012-pooled-variance.md). The formula
is the normal mixture of Robbins (1970), as in Johari and others (2017) and Waudby-Smith and others (2024).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Final

#: No statement before the held-back arm may expect so many people with an outcome.
EVENTS_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm: how many people, the sum and the sum of squares of their values, and how many have a value but 0."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    events: int = 0

    @classmethod
    def of(cls, values: Iterable[float]) -> "ArmSums":
        """Return the sums of these values, one for each person."""
        n, total, squares, events = 0, 0.0, 0.0, 0
        for value in values:
            n, total, squares, events = n + 1, total + value, squares + value * value, events + (value != 0)
        return cls(n, total, squares, events)

    @property
    def mean(self) -> float:
        """The mean per person; 0 without people."""
        return self.total / self.n if self.n else 0.0

    @property
    def deviations(self) -> float:
        """The sum of squared deviations from the mean."""
        return max(self.squares - self.total * self.total / self.n, 0.0) if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance with n - 1; 0 for fewer than two people."""
        return self.deviations / (self.n - 1) if self.n > 1 else 0.0

    def plus(self, other: "ArmSums") -> "ArmSums":
        """Return both arms thrown together."""
        return ArmSums(
            self.n + other.n,
            self.total + other.total,
            self.squares + other.squares,
            self.events + other.events,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The treated and the held-back people of one epoch, or of one look."""

    treated: ArmSums
    control: ArmSums

    @property
    def difference(self) -> float:
        """The mean of the treated minus the mean of the held back."""
        return self.treated.mean - self.control.mean

    @property
    def both(self) -> ArmSums:
        """Both arms thrown together."""
        return self.treated.plus(self.control)

    @property
    def standard_error(self) -> float:
        """The standard error of the difference, with each arm's own variance; for a single look fixed before."""
        return sqrt(_per_person(self.treated) + _per_person(self.control))

    def is_warm(self) -> bool:
        """Tell whether there are enough outcomes for a statement, as the share held back asks for."""
        both = self.both
        share = self.control.n / both.n if both.n else 0.0
        return share * both.events >= EVENTS_MIN and min(self.treated.n, self.control.n) > 1


def log_e(epochs: Sequence[Comparison], tau: float) -> float:
    """Return the log e-value against "no difference"; 0 while no epoch has enough outcomes.

    tau: the size of the expected effect, in the metric's unit. Epochs multiply.
    """
    return sum(_log_e_of(epoch, tau) for epoch in epochs if epoch.is_warm())


def interval(epochs: Sequence[Comparison], tau: float, alpha: float) -> tuple[float, float]:
    """Return the differences that these looks do not refute at level alpha; everything at first.

    The confidence sequence is the intersection of the intervals of all looks so far (`narrowest`). Over several epochs
    it inverts the product of their e-values.
    """
    warm = [epoch for epoch in epochs if epoch.is_warm()]
    curve = slope = constant = 0.0
    room = log(1 / alpha)
    for epoch in warm:
        variance = _variance_for_interval(epoch)
        if variance <= 0:
            continue
        factor = tau**2 / (2 * variance * (variance + tau**2))
        curve += factor
        slope += factor * epoch.difference
        constant += factor * epoch.difference**2
        room += 0.5 * log((variance + tau**2) / variance)
    if not curve:
        return -inf, inf
    middle = slope / curve
    half_squared = (room - constant + slope * middle) / curve
    half = sqrt(half_squared) if half_squared > 0 else 0.0
    return middle - half, middle + half


def narrowest(looks: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the intersection of the intervals; where two looks contradict each other, the last bound of each side."""
    low, high = -inf, inf
    for look_low, look_high in looks:
        low, high = max(low, look_low), min(high, look_high)
    return low, high


def _log_e_of(epoch: Comparison, tau: float) -> float:
    variance = epoch.both.variance * _inverse_sizes(epoch)
    if variance <= 0:
        return 0.0
    gain = epoch.difference**2 * tau**2 / (2 * variance * (variance + tau**2))
    return 0.5 * log(variance / (variance + tau**2)) + gain


def _variance_for_interval(epoch: Comparison) -> float:
    """Return the larger of the variances with a common and with each arm's own spread, within the arms."""
    treated, control = epoch.treated, epoch.control
    freedom = treated.n + control.n - 2
    pooled = (treated.deviations + control.deviations) / freedom if freedom > 0 else 0.0
    return max(pooled * _inverse_sizes(epoch), _per_person(treated) + _per_person(control))


def _per_person(arm: ArmSums) -> float:
    return arm.variance / arm.n if arm.n else 0.0


def _inverse_sizes(epoch: Comparison) -> float:
    return 1 / epoch.treated.n + 1 / epoch.control.n


# ---- values per person -----------------------------------------------------------------------------------


def winsor_cap(values: Iterable[float], quantile: float = 0.99) -> float:
    """Return the bound above which values are cut: this quantile of the positive values of both arms together.

    It is fixed for an epoch before its people are judged, so it does not depend on the arms. Infinity without values.
    """
    positive = sorted(value for value in values if value > 0)
    if not positive:
        return inf
    return positive[min(int(quantile * len(positive)), len(positive) - 1)]


def linearised(parts: Sequence[tuple[float, float]]) -> list[float]:
    """Return one value a person for a ratio such as money per order, from its (numerator, denominator) per person.

    The values' mean difference is the difference of the ratio, to first order, and people stay the unit however
    many orders each of them has. Give both arms together.
    """
    over, under = sum(y for y, _ in parts), sum(m for _, m in parts)
    if not under:
        return [0.0] * len(parts)
    ratio, mean = over / under, under / len(parts)
    return [(y - ratio * m) / mean for y, m in parts]


@dataclass(frozen=True, slots=True)
class CovariateSums:
    """Sums over one arm of a value, of a covariate frozen at enrolment, and of their products."""

    sums: ArmSums
    covariate: ArmSums
    product: float

    def plus(self, other: "CovariateSums") -> "CovariateSums":
        """Return both arms thrown together."""
        return CovariateSums(
            self.sums.plus(other.sums), self.covariate.plus(other.covariate), self.product + other.product
        )


def adjusted(treated: CovariateSums, control: CovariateSums) -> Comparison:
    """Return the comparison with the part of each value removed that the covariate explains (CUPED).

    The slope is one for both arms. The difference of the means stays unbiased; its variance falls by the share that
    the covariate explains (Deng and others, 2013).
    """
    both = treated.plus(control)
    spread = both.covariate.deviations
    if spread <= 0:
        return Comparison(treated.sums, control.sums)
    joint = both.product - both.sums.total * both.covariate.total / both.sums.n
    slope, centre = joint / spread, both.covariate.mean
    return Comparison(_less(treated, slope, centre), _less(control, slope, centre))


def _less(arm: CovariateSums, slope: float, centre: float) -> ArmSums:
    """Return the sums of value - slope * (covariate - centre)."""
    n, y, x = arm.sums.n, arm.sums, arm.covariate
    shifted_total = x.total - n * centre
    shifted_squares = x.squares - 2 * centre * x.total + n * centre**2
    product = arm.product - centre * y.total
    return ArmSums(
        n,
        y.total - slope * shifted_total,
        y.squares - 2 * slope * product + slope**2 * shifted_squares,
        y.events,
    )
