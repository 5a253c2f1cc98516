"""Logistic regression with a penalty on large weights, fitted by iteratively reweighted least squares."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nurture.learning.arrays import Booleans, Floats

#: The penalty on the squares of the weights; the intercept has none.
_PENALTY: Final = 10.0
_ROUNDS_MAX: Final = 50
#: The fit ends when no weight moves by more.
_TOLERANCE: Final = 1e-8
#: Logits beyond it are all but certain; it keeps the weights of rounds away from zero.
_LOGIT_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted model: probability = 1 / (1 + exp(-(intercept + sum of weight * (x - mean) / scale)))."""

    names: tuple[str, ...]
    intercept: float
    weights: Floats
    means: Floats
    scales: Floats

    def probabilities(self, features: Floats) -> Floats:
        """Return the probability of each row."""
        return _probabilities(self.intercept + self.contributions(features).sum(axis=1))

    def contributions(self, features: Floats) -> Floats:
        """Return by how much each feature of each row moves the logit from that of the mean row."""
        moved: Floats = (features - self.means) / self.scales * self.weights
        return moved

    def without(self, column: int) -> "Logistic":
        """Return the same model that takes one feature at its mean."""
        weights = self.weights.copy()
        weights[column] = 0.0
        return Logistic(self.names, self.intercept, weights, self.means, self.scales)


def _probabilities(logits: Floats) -> Floats:
    cut: Floats = np.clip(logits, -_LOGIT_MAX, _LOGIT_MAX)
    found: Floats = 1.0 / (1.0 + np.exp(-cut))
    return found


def fit_logistic(names: tuple[str, ...], features: Floats, labels: Booleans) -> Logistic:
    """Fit the labels by the features, one row a person. A feature that never varies gets no weight."""
    means = features.mean(axis=0)
    scales = features.std(axis=0)
    scales[scales < 1e-12] = 1.0
    rows = np.column_stack([np.ones(len(features)), (features - means) / scales])
    wanted = labels.astype(np.float64)
    penalty = np.full(rows.shape[1], _PENALTY)
    penalty[0] = 0.0
    weights = np.zeros(rows.shape[1])
    share = min(max(float(wanted.mean()), 1e-6), 1 - 1e-6)
    weights[0] = np.log(share / (1 - share))
    for _ in range(_ROUNDS_MAX):
        step = _newton_step(rows, wanted, weights, penalty)
        weights += step
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return Logistic(names, float(weights[0]), weights[1:], means, scales)


def _newton_step(rows: Floats, wanted: Floats, weights: Floats, penalty: Floats) -> Floats:
    predicted = _probabilities(rows @ weights)
    certainty = np.maximum(predicted * (1 - predicted), 1e-9)
    slope = rows.T @ (wanted - predicted) - penalty * weights
    curve = (rows * certainty[:, None]).T @ rows + np.diag(penalty + 1e-9)
    step: Floats = np.linalg.solve(curve, slope).astype(np.float64)
    return step
