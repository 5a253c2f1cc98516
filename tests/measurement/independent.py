"""The days on which a measure is shown to do harm or to break its promise, by no code of the product.

Integrals are sums over a grid; evidence only grows, and each day takes in the people whose week is over.
"""

from collections.abc import Sequence
from math import exp, inf, lgamma, log, sqrt

from tests.measurement.simulated import Person

_GRID = 2_000
_ALPHA = 0.05


def first_days(
    people: Sequence[Person], days: Sequence[int], share: float, expected: float
) -> dict[str, int]:
    """Return the first of the judged instants at which the harm, and a broken promise, is certain.

    share: of the people who are mailed. expected: the promised difference. They are the instants of `stopped` and of
    `sent_back`, of which each happens once, and on one day only the first.
    """
    two_sided = one_sided = -inf
    high = inf
    found: dict[str, int] = {}
    # Not one look for each day of judgement, but one for each day of entering: here they are the same.
    for day in days:
        mature = [person for person in people if person.matures_at <= day]
        mailed = sum(person.is_mailed and person.has_ordered for person in mature)
        ordered = sum(person.has_ordered for person in mature)
        two_sided = max(two_sided, log_e(mailed, ordered, share))
        one_sided = max(one_sided, log_e_of_harm(mailed, ordered, share))
        high = min(high, upper_end(mature, tau=abs(expected)))
        does_harm = one_sided >= log(2 / _ALPHA) or (two_sided >= log(1 / _ALPHA) and _is_worse(mature))
        if does_harm:
            found.setdefault("stopped", day)
        elif high < expected:
            found.setdefault("sent_back", day)
    return found


def upper_end(people: Sequence[Person], tau: float) -> float:
    """Return the greatest difference of the rates that is not refuted; infinity before ten outcomes are expected."""
    mailed, kept = (
        [p.has_ordered for p in people if p.is_mailed is is_mailed] for is_mailed in (True, False)
    )
    if min(len(mailed), len(kept)) < 2 or len(kept) / len(people) * sum(mailed + kept) < 10:
        return inf
    spreads = [sum(arm) * (1 - sum(arm) / len(arm)) for arm in (mailed, kept)]
    pooled = sum(spreads) / (len(people) - 2) * (1 / len(mailed) + 1 / len(kept))
    own = sum(spread / (len(arm) - 1) / len(arm) for spread, arm in zip(spreads, (mailed, kept), strict=True))
    v = max(pooled, own)
    half = sqrt(v * (v + tau**2) / tau**2 * log((v + tau**2) / (v * _ALPHA**2)))
    return sum(mailed) / len(mailed) - sum(kept) / len(kept) + half


def _is_worse(people: Sequence[Person]) -> bool:
    rates = []
    for is_mailed in (True, False):
        arm = [person.has_ordered for person in people if person.is_mailed is is_mailed]
        rates.append(sum(arm) / len(arm))
    return rates[0] < rates[1]


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_e(mailed: int, ordered: int, share: float) -> float:
    """Return the evidence in either direction: a mixture over three sizes of effect."""
    null = mailed * log(share) + (ordered - mailed) * log(1 - share)
    total = 0.0
    for size in (0.1, 0.3, 1.0):
        weight = 1 / (share * (1 - share) * size**2) - 1
        a, b = weight * share, weight * (1 - share)
        total += exp(_log_beta(a + mailed, b + ordered - mailed) - _log_beta(a, b) - null) / 3
    return log(total)


def log_e_of_harm(mailed: int, ordered: int, share: float) -> float:
    """Return the evidence that fewer of those who ordered were mailed: effects of one direction alone."""
    weight = 1 / (share * (1 - share) * 0.2**2) - 1
    a, b = weight * share, weight * (1 - share)
    points = [share * (place + 0.5) / _GRID for place in range(_GRID)]
    null = mailed * log(share) + (ordered - mailed) * log(1 - share)
    prior = [(a - 1) * log(theta) + (b - 1) * log(1 - theta) for theta in points]
    top = max(prior)
    density = [exp(value - top) for value in prior]
    likelihood = [exp(mailed * log(theta) + (ordered - mailed) * log(1 - theta) - null) for theta in points]
    mixed = sum(mass * value for mass, value in zip(density, likelihood, strict=True))
    return log(mixed / sum(density))
