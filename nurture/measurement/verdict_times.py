"""Say how long a verdict takes: the people that a measure's promise needs, at the rate at which people enter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nurture.domain.experiment.epochs import arms_of
from nurture.domain.experiment.expect import Expectation, parse_expect
from nurture.domain.experiment.sample_size import MOST, people_for_means, people_for_rates
from nurture.domain.measure import Measure
from nurture.measurement.trials import MeasuredTrial

#: The rate without the measure that is assumed as long as nobody knows it.
USUAL_RATE: Final = 0.05
#: Figures of so many people held back replace what is assumed.
CONTROL_MIN: Final = 50
#: A verdict that takes longer is worth a warning.
WEEKS_MAX: Final = 52
#: A new measure learns most quickly with this share held back.
HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Known:
    """The figures of a measure that the database has."""

    entries_a_week: float
    # Of people held back: how many, their mean, and the spread of their values as a share of it.
    people: int
    mean: float
    variation: float


@dataclass(frozen=True, slots=True)
class VerdictTime:
    """How long it takes until four of five such measures have a verdict."""

    measure: str
    expect: str
    holdout: float
    # True: money per person is compared, else the share of people with the outcome.
    is_amount: bool
    # The rate or the mean amount without the measure; None: no amount is known.
    base: float | None
    # True: nobody knows the base, a usual one is taken.
    is_assumed: bool
    # People whose outcome is complete; None: it cannot be said yet.
    people: int | None
    entries_a_week: float | None
    weeks: float | None
    # The same with half of the people held back.
    weeks_at_half: float | None

    @property
    def is_too_long(self) -> bool:
        """True when nobody would wait for it."""
        return self.weeks is not None and self.weeks > WEEKS_MAX


def known_of(trial: MeasuredTrial) -> Known:
    """Return what a trial tells about the next one."""
    control = trial.judgement.control
    mean = control.mean / 100 if trial.trial.is_amount else control.mean
    variation = control.variance**0.5 / control.mean if control.mean else 0.0
    return Known(trial.entries_a_week, control.n, mean, variation)


def verdict_time(
    measure: Measure, known: Known | None, *, entries_a_week: float | None
) -> VerdictTime | None:
    """Return how long a verdict takes; None for a measure that promises no difference.

    known: None without a database. entries_a_week: replaces the rate that the database knows.
    """
    metric, holdout = measure.metric, arms_of(measure)[0].share
    if metric is None or not 0 < holdout < 1:
        return None
    promised = parse_expect(metric.expect)
    if not promised.needs_holdout:
        return None
    figures = known if known is not None and known.people >= CONTROL_MIN and known.mean > 0 else None
    entries = entries_a_week if entries_a_week is not None else (known.entries_a_week if known else None)
    if metric.is_sum:
        base = None if figures is None else figures.mean
        needed = {share: _people_for_amount(promised, figures, share) for share in (holdout, HALF)}
    else:
        base = _base(promised) if figures is None else figures.mean
        needed = {share: _people_for_rate(promised, base, share) for share in (holdout, HALF)}
    people = needed[holdout]
    return VerdictTime(
        *(measure.path, metric.expect, holdout, metric.is_sum, base, figures is None),
        *(None if people is None else round(people), entries),
        *(_weeks(needed[share], entries) for share in (holdout, HALF)),
    )


def _base(promised: Expectation) -> float:
    """Return the rate to assume: a usual one, or twice the promised fall where that is more."""
    is_points = promised.kind == "points" and promised.should_fall
    return max(USUAL_RATE, -2 * promised.size) if is_points else USUAL_RATE


def _people_for_rate(promised: Expectation, base: float, holdout: float) -> float | None:
    difference = promised.size * base if promised.kind == "relative" else promised.size
    if not difference or not 0 < base + difference < 1:
        return None
    return MOST * people_for_rates(base, difference, holdout)


def _people_for_amount(promised: Expectation, figures: Known | None, holdout: float) -> float | None:
    if figures is None or not promised.size or not figures.variation:
        return None
    relative = promised.size if promised.kind == "relative" else promised.size / figures.mean
    return MOST * people_for_means(figures.variation, relative, holdout)


def _weeks(people: float | None, entries_a_week: float | None) -> float | None:
    return people / entries_a_week if people is not None and entries_a_week else None


def verdict_times(
    measures: Mapping[str, Measure], known: Mapping[str, Known], *, entries_a_week: float | None
) -> list[VerdictTime]:
    """Return the times of the measures that promise a difference, in the order of their paths.

    known: by identity of a measure.
    """
    times = (
        verdict_time(measure, known.get(measure.root), entries_a_week=entries_a_week)
        for _, measure in sorted(measures.items())
    )
    return [time for time in times if time is not None]
