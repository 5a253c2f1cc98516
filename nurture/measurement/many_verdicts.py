"""Many measures at a time: which of those that work hold together, and how many verdicts chance alone would give."""

from collections.abc import Iterable, Mapping
from math import inf

from nurture.domain.experiment.verdicts import ALPHA, e_bh
from nurture.measurement.trials import MeasuredTrial


def works_together(trials: Mapping[str, MeasuredTrial]) -> frozenset[str]:
    """Return the identities of the measures that work; of these at most one in ten does so by chance, on average.

    All running trials count, also those without a verdict. The evidence is that of the newest look: the greatest of
    all looks is no e-value, and e-values are what makes the promise hold.
    """
    return e_bh({root: _log_e_for_good(trial) for root, trial in trials.items() if _is_compared(trial)})


def verdicts_by_chance(trials: Iterable[MeasuredTrial]) -> tuple[int, float]:
    """Return how many measures are compared, and how many of them would work or harm if none had an effect."""
    compared = sum(map(_is_compared, trials))
    return compared, compared * ALPHA


def _is_compared(trial: MeasuredTrial) -> bool:
    return bool(trial.judgement.treated.n and trial.judgement.control.n)


def _log_e_for_good(trial: MeasuredTrial) -> float:
    judgement, promised = trial.judgement, trial.trial.expectation
    should_fall = promised is not None and promised.should_fall
    is_good = judgement.difference < 0 if should_fall else judgement.difference > 0
    return judgement.log_e if is_good and not judgement.is_split_wrong else -inf
