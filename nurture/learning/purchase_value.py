"""How much people spend when they buy: the gamma-gamma model of Fader and Hardie (2013).

Amounts of a customer vary around a mean of their own; the means follow a gamma distribution (q, v).
"""

from dataclasses import dataclass
from math import lgamma, log
from typing import Final

import numpy as np

from nurture.learning.arrays import Floats
from nurture.learning.purchases import Histories
from nurture.learning.simplex import minimise

_LOG_MAX: Final = 12.0


@dataclass(frozen=True, slots=True)
class PurchaseValue:
    """A fitted model."""

    p: float
    q: float
    v: float

    def expected(self, known: Histories) -> Floats:
        """Return of each customer the mean amount of the purchases to come."""
        usual = self.v * self.p / max(self.q - 1, 1e-3)
        weight = self.p * known.paid_again / (self.p * known.paid_again + self.q - 1)
        own = known.spent_again / np.maximum(known.paid_again, 1)
        amount: Floats = np.maximum((1 - weight) * usual + weight * own, 0)
        return amount


def fit_purchase_value(known: Histories) -> PurchaseValue:
    """Fit the model to the customers who paid for a second purchase or a later one."""
    is_paid = known.paid_again > 0
    number = known.paid_again[is_paid]
    mean = known.spent_again[is_paid] / number
    times, place = np.unique(number, return_inverse=True)

    def negative_log_likelihood(logs: Floats) -> float:
        p, q, v = (float(value) for value in np.exp(np.clip(logs, -_LOG_MAX, _LOG_MAX)))
        # numpy has no gamma function; few numbers of purchases differ.
        constant = np.array([lgamma(p * x + q) - lgamma(p * x) - lgamma(q) for x in times])[place]
        powers = q * log(v) + (p * number - 1) * np.log(mean) + p * number * np.log(number)
        return -float((constant + powers - (p * number + q) * np.log(v + mean * number)).sum())

    scale = float(np.median(mean)) / 2
    best = minimise(negative_log_likelihood, np.log(np.array([6.0, 4.0, scale])))
    p, q, v = (float(value) for value in np.exp(best))
    return PurchaseValue(p, q, v)
