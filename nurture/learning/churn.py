"""Churn: which customers will not buy again within the next days."""

from collections.abc import Callable, Mapping
from math import exp, expm1
from typing import Final

import numpy as np

from nurture.domain.instant import Duration, Instant, to_iso
from nurture.learning.ends import Question, Snapshot, learn_ends
from nurture.learning.order_history import OrderHistory, in_days, order_history
from nurture.learning.purchases import NAMES, bought, features, histories
from nurture.learning.results import LearntModel, Refusal
from nurture.learning.rows import OrderColumns, enough_history, periods

_READABLE: Final[Mapping[str, Callable[[float], float]]] = {
    "silence": expm1,
    "orders": exp,
    "mean_value": expm1,
    "tenure": expm1,
    "silence_by_interval": expm1,
}
_QUESTION: Final = Question("churn", NAMES, _READABLE, "bought nothing", "bought again", may_leak=False)


def learn_churn(columns: OrderColumns, *, now: Instant, horizon: Duration) -> LearntModel | Refusal:
    """Return of each customer the probability that they buy nothing within the horizon."""
    if not columns.person:
        return Refusal("needs", "nobody has ordered yet")
    first = min(columns.at)
    cuts = periods(first, now, horizon)
    if cuts is None:
        return Refusal(
            "needs", f"the first order is of {to_iso(first)[:10]}; there are figures from"
            f" {to_iso(enough_history(first, horizon))[:10]} on"
        )  # fmt: skip
    history = order_history(columns)
    return learn_ends(
        _QUESTION,
        cuts,
        earlier=_snapshot(history, cuts.fit_at, cuts.fitted),
        newest=_snapshot(history, cuts.judge_at, horizon),
        present=_snapshot(history, now, horizon),
    )


def _snapshot(history: OrderHistory, at: Instant, horizon: Duration) -> Snapshot:
    day, end = in_days(at), in_days(at + horizon)
    known = histories(history.known(day), day)
    number, _ = bought(history.known(end), known.person, day, end)
    mask = known.is_repeater
    return Snapshot(known.person, features(known), known.silence, np.equal(number, 0), {"repeaters": mask})
