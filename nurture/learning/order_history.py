"""Orders as they were known at an instant: what was cancelled later still stands, what came later is not there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nurture.domain.instant import DAY, Instant
from nurture.learning.arrays import Booleans, Floats, Integers
from nurture.learning.purchases import Purchases, purchases_of
from nurture.learning.rows import OrderColumns

_NEVER: Final = np.inf


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """Rows of orders as arrays."""

    person: Integers
    key: Integers
    day: Floats
    is_counted: Booleans
    number: Floats
    amount: Floats

    def known(self, day: float) -> Purchases:
        """Return the purchases that stood at an instant, from rows of before it alone."""
        mask = self.day < day
        keys = int(self.key.max(initial=-1)) + 1
        key = self.key[mask]
        number = np.bincount(key, weights=self.number[mask], minlength=keys)
        amount = np.bincount(key, weights=self.amount[mask], minlength=keys).astype(np.float64)
        first = np.full(keys, _NEVER)
        np.minimum.at(first, key, np.where(self.is_counted[mask], self.day[mask], _NEVER))
        person = np.zeros(keys, dtype=np.int64)
        person[self.key] = self.person
        stands = (number > 0) & (first < day)
        return purchases_of(person[stands], first[stands], amount[stands])


def order_history(columns: OrderColumns) -> OrderHistory:
    """Return the rows as arrays."""
    return OrderHistory(
        np.array(columns.person, dtype=np.int64),
        np.array(columns.key, dtype=np.int64),
        np.array(columns.at, dtype=np.float64) / DAY,
        np.array(columns.is_counted, dtype=np.bool_),
        np.array(columns.number, dtype=np.float64),
        np.array(columns.amount, dtype=np.float64) / 100,
    )


def in_days(at: Instant) -> float:
    """Return an instant in days."""
    return at / DAY
