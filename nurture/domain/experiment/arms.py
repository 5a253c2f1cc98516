"""Several arms: equal shares, elimination, and the cheapest arm that is not shown to be worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Choice:
    """The arms still in the race, and the one to keep once that can be said."""

    live: tuple[str, ...]
    eliminated: tuple[str, ...]
    # None while the race is open.
    winner: str | None


def alpha_per_pair(alpha: float, arms: int) -> float:
    """Return the level for each ordered pair of arms, so that all comparisons together keep alpha."""
    return alpha / (arms * (arms - 1) / 2) if arms > 1 else alpha


def eliminate(
    differences: Mapping[tuple[str, str], Interval],
    costs: Mapping[str, float],
    *,
    close: float,
    is_over: bool = False,
) -> Choice:
    """Return the arms that no other arm beats for certain, and the winner.

    differences: (a, b) -> confidence sequence of value(a) - value(b), for each pair once. costs: arm -> its cost, for
    the order from cheap to dear. close: arms whose values differ by less than this are as good as each other. The
    race is finished when the cheapest live arm is that close to every other live arm, or when `is_over`.
    """
    arms = sorted(costs, key=lambda arm: (costs[arm], arm))
    known = {**differences, **{(b, a): (-high, -low) for (a, b), (low, high) in differences.items()}}
    beaten = {
        arm
        for arm in arms
        if any(known.get((other, arm), (-inf, inf))[0] > 0 for other in arms if other != arm)
    }
    live = tuple(arm for arm in arms if arm not in beaten)
    cheapest = live[0] if live else None
    is_close = cheapest is not None and all(
        known.get((other, cheapest), (-inf, inf))[1] < close for other in live if other != cheapest
    )
    winner = cheapest if is_close or is_over else None
    return Choice(live, tuple(arm for arm in arms if arm in beaten), winner)


def shrunken(estimates: Sequence[tuple[float, float]]) -> list[float]:
    """Return each estimate of (value, variance) drawn toward their weighted mean, by how uncertain it is.

    The spread between the true values is estimated by moments (DerSimonian and Laird, 1986). Cells are ranked by
    these numbers, never by the raw ones, of which the extreme are mostly the uncertain.
    """
    weights = [1 / variance for _, variance in estimates]
    total = sum(weights)
    if not total:
        return [value for value, _ in estimates]
    mean = sum(weight * value for weight, (value, _) in zip(weights, estimates, strict=True)) / total
    q = sum(weight * (value - mean) ** 2 for weight, (value, _) in zip(weights, estimates, strict=True))
    scale = total - sum(weight**2 for weight in weights) / total
    between = max(0.0, (q - (len(estimates) - 1)) / scale) if scale > 0 else 0.0
    return [mean + between / (between + variance) * (value - mean) for value, variance in estimates]


def heterogeneity(estimates: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """Return Cochran's Q of the (value, variance) pairs and its degrees of freedom."""
    weights = [1 / variance for _, variance in estimates]
    total = sum(weights)
    mean = sum(weight * value for weight, (value, _) in zip(weights, estimates, strict=True)) / total
    q = sum(weight * (value - mean) ** 2 for weight, (value, _) in zip(weights, estimates, strict=True))
    return q, len(estimates) - 1
