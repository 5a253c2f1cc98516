"""Learn which people come to an end that is yes or no, and judge the model by the newest period.

The model is fitted twice: to the period before the newest, to be judged by the newest beside recency, and to the
newest, for the numbers of today.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nurture.domain.instant import DAY
from nurture.learning.arrays import Booleans, Floats, Integers
from nurture.learning.logistic import Logistic, fit_logistic
from nurture.learning.ranking import area_under_curve, calibration_error, groups_of, ranking
from nurture.learning.results import BackTest, LearntModel, ModelName, Reason, Refusal, Weight
from nurture.learning.rows import Periods

#: Fewer people with an end teach nothing that holds.
ENDS_MIN: Final = 200
#: Nobody foresees people so well: above it a feature may tell what came.
_AREA_MAX: Final = 0.9
#: A feature carries a model whose area falls by so much without it.
_CARRIES: Final = 0.05
_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """People as they were known at an instant, and who of them came to the end in the period that followed."""

    person: Integers
    features: Floats
    # Orders people as the rule of recency does: the higher, the likelier is the end.
    recency: Floats
    labels: Booleans
    # Parts of the people that are judged by themselves.
    parts: Mapping[str, Booleans]


@dataclass(frozen=True, slots=True)
class Question:
    """The end that is learnt, in words for people."""

    name: ModelName
    features: tuple[str, ...]
    # Feature -> its value as people read it; the others are counts.
    readable: Mapping[str, Callable[[float], float]]
    # The end and its opposite: "bought again".
    end: str
    opposite: str
    # True: features come from events that others name and date, so one of them may tell what came.
    may_leak: bool
    # The only feature of the rule of recency.
    recency_feature: str = "silence"


def learn_ends(
    question: Question, periods: Periods, earlier: Snapshot, newest: Snapshot, present: Snapshot
) -> LearntModel | Refusal:
    """Return the model of today, or why there is none."""
    for snapshot, days in ((newest, periods.horizon // DAY), (earlier, periods.fitted // DAY)):
        if (refusal := _refuse_few(question, snapshot, days, is_newest=snapshot is newest)) is not None:
            return refusal
    before = fit_logistic(question.features, earlier.features, earlier.labels)
    back_test = _judge(before, periods, newest)
    if question.may_leak and (leak := _find_leak(question, before, earlier, newest)) is not None:
        return leak
    columns = list(range(len(question.features)))
    if not back_test.is_better:
        columns = [question.features.index(question.recency_feature)]
    names = tuple(question.features[column] for column in columns)
    model = fit_logistic(names, newest.features[:, columns], newest.labels)
    rows = present.features[:, columns]
    numbers = model.probabilities(rows)
    return LearntModel(
        name=question.name,
        rule="model" if back_test.is_better else "recency",
        numbers=dict(zip(present.person.tolist(), numbers.tolist(), strict=True)),
        reasons=_Reasons(question, model, replace(present, features=rows)).of,
        weights=[
            Weight(name, float(weight), _read(question, name, float(mean)))
            for name, weight, mean in zip(names, model.weights, model.means, strict=True)
        ],
        back_test=back_test,
    )


def _refuse_few(question: Question, snapshot: Snapshot, days: int, *, is_newest: bool) -> Refusal | None:
    """Return why too few people came to either end in a period; None for enough."""
    ends = int(snapshot.labels.sum())
    period = f"in the last {days} days" if is_newest else f"in the {days} days before"
    for number, words in ((ends, question.end), (len(snapshot.labels) - ends, question.opposite)):
        if number < ENDS_MIN:
            return Refusal(
                "needs",
                f"{number} of {len(snapshot.labels)} people {words} {period}, and it takes {ENDS_MIN} to learn from",
            )
    return None


def _judge(model: Logistic, periods: Periods, newest: Snapshot) -> BackTest:
    scores = model.probabilities(newest.features)
    everybody = np.ones(len(scores), dtype=np.bool_)
    rankings = {
        part: ranking(scores[mask], newest.recency[mask], newest.labels[mask])
        for part, mask in {"all": everybody, **newest.parts}.items()
    }
    groups = groups_of(scores, newest.labels.astype(np.float64))
    is_same_length = periods.fitted == periods.horizon
    return BackTest(
        since=periods.judge_at,
        until=periods.now,
        fitted_days=periods.fitted / DAY,
        rankings=rankings,
        amounts=None,
        groups=groups,
        calibration_error=calibration_error(groups) if is_same_length else None,
        is_better=_area(scores, newest) > _area(newest.recency, newest),
    )


def _find_leak(question: Question, model: Logistic, earlier: Snapshot, newest: Snapshot) -> Refusal | None:
    """Return why a feature is refused that seems to tell what came, such as an event that is dated back."""
    area = _area(model.probabilities(newest.features), newest)
    if area <= _AREA_MAX:
        return None
    culprits: list[tuple[float, int, str]] = []
    for column, name in enumerate(question.features):
        alone = _area(newest.features[:, column], newest)
        rest = [other for other in range(len(question.features)) if other != column]
        names = tuple(question.features[other] for other in rest)
        without = fit_logistic(names, earlier.features[:, rest], earlier.labels)
        left = _area(without.probabilities(newest.features[:, rest]), newest)
        if max(alone, 1 - alone) > _AREA_MAX or area - left > _CARRIES:
            culprits.append((max(alone, 1 - alone), column, name))
    if not culprits:
        return None
    # Of equal ones the later feature is the more particular.
    alone, _, name = max(culprits)
    return Refusal(
        "leak",
        f"`{name}` tells by itself who {question.end} (area {alone:.3f}): too good to be known beforehand."
        " Look whether it is dated back or written afterwards",
    )


def _area(scores: Floats, snapshot: Snapshot) -> float:
    return area_under_curve(scores, snapshot.labels) or 0.0


def _read(question: Question, feature: str, value: float) -> float:
    return question.readable[feature](value) if feature in question.readable else value


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Tells why a person's number is as it is."""

    question: Question
    model: Logistic
    people: Snapshot

    def of(self, person: int) -> Sequence[Reason]:
        """Return the features that move a person's number most, the largest first; none for somebody unknown."""
        place = int(np.searchsorted(self.people.person, person))
        if place >= len(self.people.person) or int(self.people.person[place]) != person:
            return ()
        row = self.people.features[place : place + 1]
        effects = self.model.contributions(row)[0]
        order = np.argsort(-np.abs(effects), kind="stable")[:_REASONS]
        return [
            Reason(
                name,
                float(effects[column]),
                _read(self.question, name, float(row[0, column])),
                _read(self.question, name, float(self.model.means[column])),
            )
            for column in order.tolist()
            if effects[column] and (name := self.model.names[column])
        ]
