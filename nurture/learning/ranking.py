"""Judge an order of people by what they did afterwards."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from nurture.learning.arrays import Booleans, Floats
from nurture.learning.results import Group, Ranking

#: People are divided into so many groups of equal size.
GROUPS: Final = 10


def ranking(scores: Floats, recency: Floats, labels: Booleans) -> Ranking:
    """Return how well the model and recency order people of whom some have the label."""

    def tenth(values: Floats) -> float:
        return float(labels[top_tenth(values)].mean()) if len(labels) else 0.0

    return Ranking(
        people=len(labels),
        share=float(labels.mean()) if len(labels) else 0.0,
        area=area_under_curve(scores, labels),
        area_recency=area_under_curve(recency, labels),
        highest_tenth=tenth(scores),
        highest_tenth_recency=tenth(recency),
        lowest_tenth=tenth(-scores),
        lowest_tenth_recency=tenth(-recency),
    )


def area_under_curve(scores: Floats, labels: Booleans) -> float | None:
    """Return the probability that a person with the label has the higher score; equal ones count half.

    None where all people have the label, or none.
    """
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # The mean rank of each group of equal scores.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[inverse][labels].sum())
    return (total - positive * (positive + 1) / 2) / (positive * negative)


def groups_of(forecast: Floats, came: Floats, *, with_range: bool = False) -> tuple[Group, ...]:
    """Return tenths of the people, the lowest forecast first. with_range: with the tenth and ninetieth percentile."""
    order = np.argsort(forecast, kind="stable")
    parts = [part for part in np.array_split(order, GROUPS) if len(part)]
    return tuple(_group(forecast[part], came[part], with_range=with_range) for part in parts)


def _group(forecast: Floats, came: Floats, *, with_range: bool) -> Group:
    low, high = np.quantile(came, [0.1, 0.9]) if with_range else (None, None)
    return Group(
        len(came),
        float(forecast.mean()),
        float(came.mean()),
        None if low is None else float(low),
        None if high is None else float(high),
    )


def calibration_error(groups: Sequence[Group]) -> float:
    """Return by how much the forecast of a tenth is off on average."""
    people = sum(group.people for group in groups)
    return sum(group.people * abs(group.forecast - group.came) for group in groups) / people


def top_tenth(scores: Floats) -> Booleans:
    """Return which people are in the tenth with the highest scores, the first of equal ones first."""
    size = max(1, len(scores) // GROUPS)
    chosen = np.zeros(len(scores), dtype=np.bool_)
    chosen[np.argsort(-scores, kind="stable")[:size]] = True
    return chosen
