"""Trials: the epochs of each measure's newest trial with everything that a judgement reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import Expectation, parse_expect
from nurture.domain.experiment.judgement import EpochShape, Judgement, Trial, judge
from nurture.domain.experiment.variants import Race, judge_variants
from nurture.domain.instant import DAY, WEEK, Instant
from nurture.measurement import experiment_queries
from nurture.measurement.experiment_queries import EpochFigures
from nurture.playbook.epoch_queries import Epoch, load_epochs

#: Entries are counted over so long to say how fast people enter.
_PACE: int = 4 * WEEK


@dataclass(frozen=True, slots=True)
class MeasuredTrial:
    """The newest trial of a measure: its epochs, what they show, and how fast people enter."""

    epochs: Sequence[Epoch]
    trial: Trial
    judgement: Judgement
    # Its variants against each other; None without any.
    race: Race | None
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
    connection: sa.Connection, *, now: Instant, only: Collection[str] | None = None
) -> dict[str, MeasuredTrial]:
    """Return identity of a measure -> its newest trial, judged on the mature people of this instant.

    only: the identities of some measures; nothing is read of the others. A constant number of statements for any
    number of measures and people.
    """
    by_measure = _newest_trials(load_epochs(connection, only))
    epochs = [epoch for trial in by_measure.values() for epoch in trial]
    figures = experiment_queries.load_figures(connection, epochs, now=now)
    exposed = experiment_queries.load_exposed(connection, epochs)
    began = {measure: trial[0].since for measure, trial in by_measure.items()}
    guarded = experiment_queries.load_guarded(connection, began)
    return {
        measure: _measured(
            mine,
            figures,
            guarded.get(measure, (0, {})),
            exposed=sum(exposed.get(epoch.id, 0) for epoch in mine),
            now=now,
        )
        for measure, mine in by_measure.items()
    }


def _pace(epochs: Sequence[EpochFigures], *, began: Instant, now: Instant) -> float:
    """Return how many people enter in a week; all of them in the first week of a trial."""
    since = (now - _PACE) // DAY * DAY
    entries = sum(number for epoch in epochs for day, number in epoch.entries.items() if day >= since // DAY)
    weeks = (now - max(since, began)) / WEEK
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
    epochs: Sequence[Epoch],
    figures: Mapping[int, EpochFigures],
    guarded: tuple[int, Mapping[str, int]],
    *,
    exposed: int,
    now: Instant,
) -> MeasuredTrial:
    mine = [figures[epoch.id] for epoch in epochs]
    trial = _trial(epochs, figures, guarded)
    pace = _pace(mine, began=epochs[0].since, now=now)
    due = min((epoch.next_mature for epoch in mine if epoch.next_mature is not None), default=None)
    return MeasuredTrial(epochs, trial, judge(trial), judge_variants(trial), pace, exposed, due)


def _trial(
    epochs: Sequence[Epoch],
    figures: Mapping[int, EpochFigures],
    guarded: tuple[int, Mapping[str, int]],
) -> Trial:
    newest = epochs[-1]
    return Trial(
        epochs=[EpochShape(epoch.id, epoch.arms) for epoch in epochs],
        days=[sums for epoch in epochs for sums in figures[epoch.id].days],
        enrolled={epoch.id: figures[epoch.id].enrolled for epoch in epochs},
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
