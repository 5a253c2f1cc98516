"""The purchases of customers, and what is known of each customer on a day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nurture.learning.arrays import Booleans, Floats, Integers

WEEK: Final = 7.0
#: A person's own interval weighs as much as their repeats, the usual one as much as so many.
_USUAL_INTERVALS: Final = 3.0
#: The last weeks whose purchases are counted.
_RECENT_WEEKS: Final = (8, 13, 26)

#: The features of a customer.
NAMES: Final = (
    "silence",
    "orders",
    "mean_value",
    "tenure",
    "silence_by_orders",
    "silence_by_interval",
    *(f"orders_{weeks}_weeks" for weeks in _RECENT_WEEKS),
)


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases sorted by person and time, one for each day on which a person bought.

    `day` is the instant of the day's first order in days, `amount` the net sum of the day.
    """

    person: Integers
    day: Floats
    amount: Floats

    def before(self, day: float) -> "Purchases":
        """Return the purchases of before this instant."""
        return self._where(self.day < day)

    def between(self, first: float, end: float) -> "Purchases":
        """Return the purchases from one instant on, of before another."""
        return self._where((self.day >= first) & (self.day < end))

    def _where(self, mask: Booleans) -> "Purchases":
        return Purchases(self.person[mask], self.day[mask], self.amount[mask])


def purchases_of(person: Integers, day: Floats, amount: Floats) -> Purchases:
    """Return the purchases that these orders are; orders of one person and day (UTC) are one."""
    order = np.lexsort((day, person))
    person, day, amount = person[order], day[order], amount[order]
    date = np.floor(day)
    is_new = np.ones(len(person), dtype=np.bool_)
    is_new[1:] = (np.diff(person) > 0) | (np.diff(date) > 0)
    starts = np.flatnonzero(is_new)
    total = np.add.reduceat(amount, starts) if len(starts) else amount
    return Purchases(person[starts], day[starts], total)


@dataclass(frozen=True, slots=True)
class Histories:
    """Customers as they are known at an instant, one place each, sorted by person."""

    person: Integers
    orders: Floats
    spent: Floats
    # Spent after the first purchase, and on how many days an amount was.
    spent_again: Floats
    paid_again: Floats
    # Days since the last and since the first purchase.
    silence: Floats
    tenure: Floats
    # Purchases of the last weeks, by `_RECENT_WEEKS`.
    recent: tuple[Floats, ...]

    @property
    def repeats(self) -> Floats:
        """Return how often each bought again."""
        repeats: Floats = self.orders - 1
        return repeats

    @property
    def is_repeater(self) -> Booleans:
        """Tell of each whether they bought on more than one day."""
        mask: Booleans = self.orders > 1
        return mask


def histories(purchases: Purchases, day: float) -> Histories:
    """Return the customers of before an instant; nothing of that instant or later is read."""
    known = purchases.before(day)
    person, starts, counts = np.unique(known.person, return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(person)), counts)

    def summed(values: Floats) -> Floats:
        return np.bincount(place, weights=values, minlength=len(person)).astype(np.float64)

    is_again = np.ones(len(known.day), dtype=np.bool_)
    is_again[starts] = False
    paid = (is_again & (known.amount > 0)).astype(np.float64)
    return Histories(
        person=person,
        orders=counts.astype(np.float64),
        spent=summed(known.amount),
        spent_again=summed(known.amount * paid),
        paid_again=summed(paid),
        silence=day - known.day[starts + counts - 1],
        tenure=day - known.day[starts],
        recent=tuple(summed((known.day >= day - weeks * WEEK).astype(np.float64)) for weeks in _RECENT_WEEKS),
    )


def features(known: Histories) -> Floats:
    """Return a row of `NAMES` for each customer."""
    between = known.tenure - known.silence
    repeats = float(known.repeats.sum())
    usual = float(between.sum()) / repeats if repeats else float(known.tenure.mean())
    interval = (_USUAL_INTERVALS * usual + between) / (_USUAL_INTERVALS + known.repeats)
    silence, orders = np.log1p(known.silence), np.log(known.orders)
    return np.column_stack(
        [
            silence,
            orders,
            np.log1p(np.maximum(known.spent, 0) / known.orders),
            np.log1p(known.tenure),
            silence * orders,
            np.log1p(known.silence / np.maximum(interval, 1.0)),
            *known.recent,
        ]
    )


def bought(purchases: Purchases, people: Integers, first: float, end: float) -> tuple[Floats, Floats]:
    """Return how often each of these people (sorted) bought from an instant on before another, and for how much."""
    later = purchases.between(first, end)
    place = np.searchsorted(people, later.person)
    is_known = np.isin(later.person, people)
    number = np.bincount(place[is_known], minlength=len(people)).astype(np.float64)
    amount = np.bincount(place[is_known], weights=later.amount[is_known], minlength=len(people))
    return number, amount.astype(np.float64)
