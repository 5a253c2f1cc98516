"""Trials: the epochs of each measure's newest trial with everything that a judgement reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import Expectation, parse_expect
from nurture.domain.experiment.judgement import DaySums, EpochShape, Judgement, Trial, judge
from nurture.domain.instant import WEEK, Instant
from nurture.measurement import experiment_queries
from nurture.playbook.epoch_queries import Epoch, load_epochs

#: Entries are counted over so long to say how fast people enter.
_PACE: int = 4 * WEEK


@dataclass(frozen=True, slots=True)
class MeasuredTrial:
    """The newest trial of a measure: its epochs, what they show, and how fast people enter."""

    epochs: Sequence[Epoch]
    trial: Trial
    judgement: Judgement
    # Mean of the last four weeks, or of the time since the trial began where that is shorter.
    entries_a_week: float
    exposed: int
    # When the next person's outcome is complete; None: nobody is under way.
    next_figures: Instant | None

    @property
    def newest(self) -> Epoch:
        """The open epoch."""
        return self.epochs[-1]


def measure_trials(
    connection: sa.Connection, *, now: Instant, only: str | None = None
) -> dict[str, MeasuredTrial]:
    """Return identity of a measure -> its newest trial, judged on the mature people of this instant.

    only: the identity of one measure. A constant number of statements for any number of measures and people.
    """
    by_measure = _newest_trials(load_epochs(connection, only))
    epochs = [epoch for trial in by_measure.values() for epoch in trial]
    days = experiment_queries.load_day_sums(connection, epochs, now=now)
    enrolled = experiment_queries.load_enrolled(connection, epochs)
    exposed = experiment_queries.load_exposed(connection, epochs)
    due = experiment_queries.load_next_mature(connection, epochs, now=now)
    began = {measure: trial[0].since for measure, trial in by_measure.items()}
    guarded = experiment_queries.load_guarded(connection, began)
    entries = experiment_queries.load_entries(connection, since=now - _PACE)
    return {
        measure: _measured(
            _trial(mine, days, enrolled, guarded.get(measure, (0, {}))),
            mine,
            entries=_pace(entries.get(measure, 0), now - mine[0].since),
            exposed=sum(exposed.get(epoch.id, 0) for epoch in mine),
            next_figures=min((due[epoch.id] for epoch in mine if epoch.id in due), default=None),
        )
        for measure, mine in by_measure.items()
    }


def _pace(entries: int, age: int) -> float:
    weeks = min(_PACE, max(age, 1)) / WEEK
    return entries / weeks if weeks >= 1 else float(entries)


def _newest_trials(epochs: Sequence[Epoch]) -> dict[str, list[Epoch]]:
    found: dict[str, list[Epoch]] = {}
    for epoch in epochs:
        mine = found.setdefault(epoch.measure, [])
        if mine and mine[-1].trial != epoch.trial:
            mine.clear()
        mine.append(epoch)
    return found


def _measured(
    trial: Trial, epochs: Sequence[Epoch], *, entries: float, exposed: int, next_figures: Instant | None
) -> MeasuredTrial:
    return MeasuredTrial(epochs, trial, judge(trial), entries, exposed, next_figures)


def _trial(
    epochs: Sequence[Epoch],
    days: Mapping[int, Sequence[DaySums]],
    enrolled: Mapping[int, Sequence[int]],
    guarded: tuple[int, Mapping[str, int]],
) -> Trial:
    newest = epochs[-1]
    return Trial(
        epochs=[EpochShape(epoch.id, epoch.arms) for epoch in epochs],
        days=[sums for epoch in epochs for sums in days[epoch.id]],
        enrolled={epoch.id: enrolled[epoch.id] for epoch in epochs},
        expectation=_expectation(newest.expect),
        is_amount=newest.is_amount,
        mails=guarded[0],
        guarded=guarded[1],
    )


def _expectation(text: str) -> Expectation | None:
    try:
        return parse_expect(text)
    except InputError:
        return None
