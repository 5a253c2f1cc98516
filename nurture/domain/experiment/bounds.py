"""Tests of counts against a bound that is declared beforehand: guards per mail, levels, and the split of the arms."""

from collections.abc import Callable, Mapping
from math import inf, lgamma, log, log1p
from typing import Final

from nurture.domain.experiment.beta import log_beta, log_lower, log_upper

#: An alarm about the split of people into arms needs an e-value of 100.
SPLIT_ALARM: Final = log(100)
#: Weight of the declared shares in the split check, in people.
_SPLIT_WEIGHT: Final = 1_000


def log_e_above(count: int, n: int, bound: float) -> float:
    """Return the log e-value for a rate above the bound: `count` of `n` mails had the bad outcome.

    The prior has the mean of the bound and the weight of 1/bound mails.
    """
    return _log_one_sided(count, n, bound, above=True)


def log_e_below(count: int, n: int, bound: float) -> float:
    """Return the log e-value for a rate below the bound."""
    return _log_one_sided(count, n, bound, above=False)


def _log_one_sided(count: int, n: int, bound: float, *, above: bool) -> float:
    a, b = 1.0, 1 / bound - 1
    tail = log_upper if above else log_lower
    rest = n - count
    likelihood = count * log(bound) + rest * log1p(-bound)
    weight = tail(bound, a + count, b + rest) - tail(bound, a, b)
    return log_beta(a + count, b + rest) - log_beta(a, b) + weight - likelihood


def level_interval(count: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the rates that `count` of `n` people do not refute at level alpha, at any number of looks."""
    if not n:
        return 0.0, 1.0
    room = log_beta(count + 0.5, n - count + 0.5) - log_beta(0.5, 0.5) - log(1 / alpha)

    def is_refuted(rate: float) -> bool:
        below = (count * log(rate) if count else 0.0) + ((n - count) * log1p(-rate) if n > count else 0.0)
        return below <= room

    peak = count / n
    return _bisect(peak, 0.0, is_refuted), _bisect(peak, 1.0, is_refuted)


def _bisect(inside: float, outside: float, is_refuted: Callable[[float], bool]) -> float:
    if inside == outside:
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_refuted(middle) else (middle, outside)
    return outside


def log_e_split(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Return the log e-value against the declared shares of the arms, from how many people each arm has.

    It counts enrolled people, mature or not. Infinity when an arm has people and no share.
    """
    if set(counts) - set(shares):
        return inf
    total = -_log_rising(_SPLIT_WEIGHT, sum(counts.values()))
    for arm, share in shares.items():
        count = counts.get(arm, 0)
        if share > 0:
            total += _log_rising(_SPLIT_WEIGHT * share, count) - count * log(share)
        elif count:
            return inf
    return total


def _log_rising(start: float, n: int) -> float:
    """Return ln of start * (start + 1) * ... * (start + n - 1)."""
    return lgamma(start + n) - lgamma(start)
