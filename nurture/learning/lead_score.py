"""Lead score: which leads will become customers within the next days, learnt from those who did."""

from collections import Counter
from math import expm1
from typing import Final

import numpy as np

from nurture.domain.instant import DAY, Duration
from nurture.learning.arrays import Floats
from nurture.learning.ends import Question, Snapshot, learn_ends
from nurture.learning.results import LearntModel, Refusal
from nurture.learning.rows import RECENT_DAYS, ActivityColumns, Leads, Periods
from nurture.learning.words import EVENT

#: The names of events that most leads have are counted each by itself.
_NAMES_MAX: Final = 12
_ALWAYS: Final = ("silence", "acts", "tenure", *(f"acts_{days}_days" for days in RECENT_DAYS))


def learn_score(leads: Leads, cuts: Periods) -> LearntModel | Refusal:
    """Return of each lead the probability that they become a customer within the horizon."""
    if not leads.newest.person:
        return Refusal("needs", f"no lead was known {cuts.horizon // DAY} days ago")
    names = _common_names(leads.earlier, leads.newest)
    features = (*_ALWAYS, *(EVENT + name for name in names))
    question = Question(
        "score", features, dict.fromkeys(features, expm1), "became customers", "did not", may_leak=True
    )
    return learn_ends(
        question,
        cuts,
        earlier=_snapshot(leads, leads.earlier, names, cuts.fitted),
        newest=_snapshot(leads, leads.newest, names, cuts.horizon),
        present=_snapshot(leads, leads.now, names, None),
    )


def _common_names(*activities: ActivityColumns) -> list[str]:
    people = Counter(name for activity in activities for name in activity.name)
    return [name for name, _ in sorted(people.items(), key=lambda item: (-item[1], item[0]))[:_NAMES_MAX]]


def _snapshot(
    leads: Leads, activity: ActivityColumns, names: list[str], horizon: Duration | None
) -> Snapshot:
    """Return those who were leads then. horizon None: those who are leads now, without ends."""
    person, place = np.unique(np.array(activity.person, dtype=np.int64), return_inverse=True)
    size = len(person)

    def summed(values: Floats) -> Floats:
        return np.bincount(place, weights=values, minlength=size).astype(np.float64)

    number = np.array(activity.number, dtype=np.float64)
    first, last = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(first, place, np.array(activity.first, dtype=np.float64))
    np.maximum.at(last, place, np.array(activity.last, dtype=np.float64))
    silence, tenure = (activity.at - last) / DAY, (activity.at - first) / DAY
    kinds = np.array(activity.name, dtype=np.str_)
    counts = [
        summed(number),
        tenure,
        *(summed(np.array(recent, dtype=np.float64)) for recent in activity.recent),
        *(summed(np.where(kinds == name, number, 0.0)) for name in names),
    ]
    rows = np.log1p(np.maximum(np.column_stack([silence, *counts]), 0.0))
    became = [leads.converted.get(lead) for lead in person.tolist()]
    if horizon is None:
        mask = np.array([lead in leads.open for lead in person.tolist()], dtype=np.bool_)
    else:
        mask = np.array([at is None or at >= activity.at for at in became], dtype=np.bool_)
    end = activity.at + (horizon or 0)
    labels = np.array([at is not None and activity.at <= at < end for at in became], dtype=np.bool_)
    return Snapshot(person[mask], rows[mask], -silence[mask], labels[mask], {})
