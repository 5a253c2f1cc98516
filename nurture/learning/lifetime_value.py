"""Value: how much each customer will spend within the next days, from how often they buy and for how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nurture.domain.instant import DAY, Duration, Instant, to_iso
from nurture.learning.arrays import Floats
from nurture.learning.order_history import OrderHistory, in_days, order_history
from nurture.learning.purchase_rate import PurchaseRate, fit_purchase_rate
from nurture.learning.purchase_value import PurchaseValue, fit_purchase_value
from nurture.learning.purchases import WEEK, Histories, bought, histories
from nurture.learning.ranking import groups_of, top_tenth
from nurture.learning.results import Amounts, BackTest, LearntModel, Reason, Refusal, Weight
from nurture.learning.rows import OrderColumns

#: Fewer people who paid again say nothing about the others.
_REPEATERS_MIN: Final = 200


@dataclass(frozen=True, slots=True)
class _Forecast:
    """The fitted models and what they say of each customer."""

    known: Histories
    rate: PurchaseRate
    value: PurchaseValue
    orders: Floats
    amount: Floats

    @property
    def total(self) -> Floats:
        total: Floats = self.orders * self.amount
        return total


def learn_value(columns: OrderColumns, *, now: Instant, horizon: Duration) -> LearntModel | Refusal:
    """Return of each customer the amount that they are expected to spend within the horizon."""
    if not columns.person:
        return Refusal("needs", "nobody has ordered yet")
    first, judge_at = min(columns.at), now - horizon
    if judge_at - first < horizon // 2:
        soonest = to_iso(first + horizon * 3 // 2)[:10]
        return Refusal(
            "needs", f"the first order is of {to_iso(first)[:10]}; there are figures from {soonest} on"
        )
    history = order_history(columns)
    before = _forecast(history, judge_at, horizon)
    if isinstance(before, Refusal):
        return before
    present = _forecast(history, now, horizon)
    if isinstance(present, Refusal):
        return present
    back_test = _judge(before, history, judge_at, now)
    return LearntModel(
        name="value",
        rule="model",
        numbers=dict(zip(present.known.person.tolist(), present.total.tolist(), strict=True)),
        reasons=_Reasons(present).of,
        weights=[
            *(Weight(name, getattr(present.rate, name), 0.0) for name in ("r", "alpha", "a", "b")),
            *(Weight(name, getattr(present.value, name), 0.0) for name in ("p", "q", "v")),
        ],
        back_test=back_test,
        currency=columns.currency,
    )


def _forecast(history: OrderHistory, at: Instant, horizon: Duration) -> _Forecast | Refusal:
    day = in_days(at)
    known = histories(history.known(day), day)
    paid = int((known.paid_again > 0).sum())
    if paid < _REPEATERS_MIN:
        return Refusal(
            "needs", f"{paid} people had paid more than once by {to_iso(at)[:10]}, and it takes"
            f" {_REPEATERS_MIN} to learn from"
        )  # fmt: skip
    rate, value = fit_purchase_rate(known), fit_purchase_value(known)
    return _Forecast(known, rate, value, rate.expected(known, horizon / DAY / WEEK), value.expected(known))


def _judge(forecast: _Forecast, history: OrderHistory, since: Instant, until: Instant) -> BackTest:
    known, total = forecast.known, forecast.total
    start, end = in_days(since), in_days(until)
    _, came = bought(history.known(end), known.person, start, end)

    def share(scores: Floats) -> float:
        return float(came[top_tenth(scores)].sum() / came.sum()) if came.sum() else 0.0

    amounts = Amounts(
        people=len(came),
        forecast=float(total.sum()),
        came=float(came.sum()),
        mean_error=float(np.abs(total - came).mean()),
        top_tenth=share(total),
        top_tenth_by_spent=share(known.spent),
        top_tenth_by_orders=share(known.orders),
        top_tenth_recency=share(-known.silence),
    )
    return BackTest(
        since=since,
        until=until,
        fitted_days=float(known.tenure.max()),
        rankings={},
        amounts=amounts,
        groups=groups_of(total, came, with_range=True),
        calibration_error=None,
        is_better=amounts.top_tenth > amounts.top_tenth_recency,
    )


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Tells what a person's value is made of."""

    forecast: _Forecast

    def of(self, person: int) -> Sequence[Reason]:
        """Return the orders that are expected, their mean amount, and how likely the person still buys at all."""
        known = self.forecast.known
        place = int(np.searchsorted(known.person, person))
        if place >= len(known.person) or int(known.person[place]) != person:
            return ()
        parts = {
            "expected_orders": self.forecast.orders,
            "expected_amount": self.forecast.amount,
            "still_buys": self.forecast.rate.alive(known),
        }
        return [
            Reason(name, 0.0, float(values[place]), float(values.mean())) for name, values in parts.items()
        ]
