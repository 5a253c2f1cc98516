"""The rows that models learn from, column by column, as the queries return them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nurture.domain.instant import Duration, Instant

#: The last days whose acts of leads are counted.
RECENT_DAYS = (7, 28, 91)


@dataclass(frozen=True, slots=True)
class OrderColumns:
    """Rows of orders: those of one key add up to what stands of the order at an instant."""

    person: Sequence[int]
    # Orders of one key are one.
    key: Sequence[int]
    # When it occurred, or when a change of it was noticed.
    at: Sequence[Instant]
    # True: `at` is when the order occurred.
    is_counted: Sequence[bool]
    number: Sequence[int]
    # In hundredths, of the main currency.
    amount: Sequence[int]
    # The main currency; "" where none is named.
    currency: str


@dataclass(frozen=True, slots=True)
class ActivityColumns:
    """The events of leads that were known at an instant, a row for each person and name of an event."""

    at: Instant
    person: Sequence[int]
    name: Sequence[str]
    number: Sequence[int]
    first: Sequence[Instant]
    last: Sequence[Instant]
    # How many of them in the last days, by `RECENT_DAYS`.
    recent: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Leads:
    """Leads as they are known: their events at up to three instants, and when people became customers."""

    # Before the period by which the model is judged, before the newest period, and now.
    earlier: ActivityColumns
    newest: ActivityColumns
    now: ActivityColumns
    # Person -> when they first became a customer.
    converted: Mapping[int, Instant]
    # Those who are leads now.
    open: frozenset[int]


@dataclass(frozen=True, slots=True)
class Periods:
    """The instants that a model is fitted and judged at."""

    # A model of before is fitted to what came from `fit_at` until `fit_end`, and judged by what came from `judge_at`.
    fit_at: Instant
    judge_at: Instant
    now: Instant

    @property
    def horizon(self) -> Duration:
        """Return how far ahead the model forecasts."""
        return self.now - self.judge_at

    @property
    def fitted(self) -> Duration:
        """Return the length of the period that the model of before is fitted to."""
        return self.judge_at - self.fit_at


def periods(first: Instant, now: Instant, horizon: Duration) -> Periods | None:
    """Return the periods for what is known since `first`; None for too short a history.

    A history that is too short for two periods is halved, so that the model of before is fitted to a shorter one.
    """
    judge_at = now - horizon
    fitted = min(horizon, (judge_at - first) // 2)
    if fitted * 4 < horizon:
        return None
    return Periods(judge_at - fitted, judge_at, now)


def enough_history(first: Instant, horizon: Duration) -> Instant:
    """Return from when on `periods` gives an answer."""
    return first + horizon * 3 // 2
