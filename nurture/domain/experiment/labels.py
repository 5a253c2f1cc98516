"""The label e-process: yes/no outcomes, such as conversions, of people whose arm a hash decided.

Of the people with the outcome, each was treated with the probability of the treated share, if the treatment changes
nothing: whatever the season, the base rate and their drift. So only the people with the outcome are looked at. The
e-value is a mixture of beta-binomial likelihoods over three sizes of effect, from 5 % to 100 % relative, so nothing
has to be tuned. It is exact at any number of people and any share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, log1p
from typing import Final, Literal

from nurture.domain.experiment.beta import log_add, log_beta, log_lower, log_upper

#: Sizes of effect of the mixture: 1 is the size of the whole share.
_SIZES: Final = (0.1, 0.3, 1.0)
#: One-sided tests look for harm, whose size is known roughly.
_SIZE_ONE_SIDED: Final = 0.2
#: Risk ratios are looked for between these.
_LOG_RATIO_MAX: Final = 20.0
_ROUNDS: Final = 200

Direction = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """One epoch: the mature people with the outcome, how many of them were treated, and the treated share."""

    treated: int
    converted: int
    # Share of all enrolled people who were treated, between 0 and 1.
    share: float


def log_e(epochs: Sequence[LabelCounts], *, ratio: float = 1.0) -> float:
    """Return the log e-value against the hypothesis that treated people convert `ratio` times as often.

    Epochs multiply, because each one's labels are drawn with its own share.
    """
    return sum(_log_e_of(epoch, ratio) for epoch in epochs)


def log_e_one_sided(epochs: Sequence[LabelCounts], direction: Direction, *, above: float = -inf) -> float:
    """Return the log e-value for `less` or `more` conversions of treated people against no difference.

    A value that cannot exceed `above` is not worked out: the result is then a number that does not exceed it either.
    """
    untailed = [_log_untailed(epoch, direction) for epoch in epochs]
    if sum(untailed) <= above:
        return sum(untailed)
    return sum(
        value + _tail(direction, epoch.share, *_posterior(epoch))
        for value, epoch in zip(untailed, epochs, strict=True)
    )


def estimate_ratio(epochs: Sequence[LabelCounts]) -> float | None:
    """Return the risk ratio under which these labels are likeliest; None before the first outcome.

    0 when no treated person has the outcome, infinity when only treated people have it.
    """
    treated, converted = sum(e.treated for e in epochs), sum(e.converted for e in epochs)
    if not converted:
        return None
    if treated in (0, converted):
        return inf if treated else 0.0
    return exp(_peak(epochs))


def ratio_interval(epochs: Sequence[LabelCounts], alpha: float) -> tuple[float, float]:
    """Return the risk ratios that are not refuted at level alpha: a confidence sequence, 0 to infinity at first."""
    if not any(epoch.converted for epoch in epochs):
        return 0.0, inf
    bound, peak = log(1 / alpha), _peak(epochs)
    low = _crossing(epochs, peak, -_LOG_RATIO_MAX, bound)
    high = _crossing(epochs, peak, _LOG_RATIO_MAX, bound)
    return (0.0 if low is None else exp(low)), (inf if high is None else exp(high))


def _treated_share(share: float, log_ratio: float) -> float:
    """Return the probability that a converter is treated when treated people convert exp(log_ratio) times as often."""
    odds = log(share) - log1p(-share) + log_ratio
    return 1 / (1 + exp(-odds)) if odds > 0 else exp(odds) / (1 + exp(odds))


@lru_cache(maxsize=256)
def _priors(share: float, sizes: tuple[float, ...]) -> list[tuple[float, float, float]]:
    """Return (a, b, log of B(a, b)) of each size; a trial asks for the same ones at each look."""
    weights = [max(1 / (share * (1 - share) * size**2) - 1, 1e-6) for size in sizes]
    pairs = [(weight * share, weight * (1 - share)) for weight in weights]
    return [(a, b, log_beta(a, b)) for a, b in pairs]


def _log_mixture(epoch: LabelCounts) -> float:
    x, rest = epoch.treated, epoch.converted - epoch.treated
    priors = _priors(epoch.share, _SIZES)
    terms = (log_beta(a + x, b + rest) - before for a, b, before in priors)
    return log_add(*terms) - log(len(priors))


def _log_e_of(epoch: LabelCounts, ratio: float) -> float:
    return _log_mixture(epoch) - _log_likelihood(epoch, log(ratio))


def _log_likelihood(epoch: LabelCounts, log_ratio: float) -> float:
    theta = _treated_share(epoch.share, log_ratio)
    rest = epoch.converted - epoch.treated
    return (epoch.treated * log(theta) if epoch.treated else 0.0) + (rest * log1p(-theta) if rest else 0.0)


def _log_untailed(epoch: LabelCounts, direction: Direction) -> float:
    """Return the one-sided log e-value without the last factor, a probability: it is at most this."""
    ((a, b, before),) = _priors(epoch.share, (_SIZE_ONE_SIDED,))
    evidence = log_beta(*_posterior(epoch)) - before
    return evidence - _tail(direction, epoch.share, a, b) - _log_likelihood(epoch, 0.0)


def _posterior(epoch: LabelCounts) -> tuple[float, float]:
    ((a, b, _),) = _priors(epoch.share, (_SIZE_ONE_SIDED,))
    return a + epoch.treated, b + epoch.converted - epoch.treated


@lru_cache(maxsize=256)
def _tail(direction: Direction, share: float, a: float, b: float) -> float:
    return (log_lower if direction == "less" else log_upper)(share, a, b)


def _peak(epochs: Sequence[LabelCounts]) -> float:
    """Return the log risk ratio of the greatest likelihood, within the bounds; the slope falls with the ratio."""
    low, high = -_LOG_RATIO_MAX, _LOG_RATIO_MAX
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        slope = sum(e.treated - e.converted * _treated_share(e.share, middle) for e in epochs)
        low, high = (middle, high) if slope > 0 else (low, middle)
    return (low + high) / 2


def _crossing(epochs: Sequence[LabelCounts], inside: float, outside: float, bound: float) -> float | None:
    """Return where the log e-value reaches the bound between both log ratios; None when it stays below it."""
    mixture = sum(map(_log_mixture, epochs))

    def is_refuted(log_ratio: float) -> bool:
        return mixture - sum(_log_likelihood(epoch, log_ratio) for epoch in epochs) >= bound

    if not is_refuted(outside):
        return None
    for _ in range(_ROUNDS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_refuted(middle) else (middle, outside)
        if abs(outside - inside) < 1e-12:
            break
    return outside
