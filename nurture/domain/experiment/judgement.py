"""Judge a trial: from the sums of each entry day to the numbers and verdicts of one measure.

Every entry day is a look: a statement holds however often one looks, so bounds only tighten and evidence once found is
not lost. Only mature people are in the sums, of all arms alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from nurture.domain.experiment import averages, labels
from nurture.domain.experiment.averages import ArmSums, Comparison, CovariateSums
from nurture.domain.experiment.bounds import SPLIT_ALARM, level_interval, log_e_above, log_e_split
from nurture.domain.experiment.epochs import Arm
from nurture.domain.experiment.expect import Expectation
from nurture.domain.experiment.verdicts import ALPHA, GUARD_BOUNDS, Evidence, VerdictWord, verdicts

#: The effect that the sequence of an average is tuned to when none is promised, as a share of its mean.
USUAL_EFFECT: Final = 0.2
#: Above this rate people without the outcome tell so much that rates are compared as averages, not by labels.
_RATE_OF_AVERAGES: Final = 0.3
#: Which of both it is follows from the first people, once: a choice at each look would take the better one each time.
_PEOPLE_TO_CHOOSE: Final = 100
NOTHING: Final = CovariateSums(ArmSums(), ArmSums(), 0.0)


@dataclass(frozen=True, slots=True)
class DaySums:
    """The mature people of one arm of one epoch who entered on one day."""

    epoch: int
    # Place of the arm; 0: held back.
    arm: int
    # Days since 1970.
    day: int
    people: int
    # How many have the outcome.
    converted: int
    # Sums of their amounts (cut), of what they spent before, and of the products, in the metric's unit.
    amounts: CovariateSums = NOTHING


@dataclass(frozen=True, slots=True)
class EpochShape:
    """The arms of an epoch, the one without mail first."""

    id: int
    arms: tuple[Arm, ...]

    @property
    def holdout(self) -> float:
        """Return the share that gets no mail."""
        return self.arms[0].share


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that a judgement reads."""

    epochs: Sequence[EpochShape]
    days: Sequence[DaySums]
    # Epoch -> people of each arm, mature or not.
    enrolled: Mapping[int, Sequence[int]]
    expectation: Expectation | None
    is_amount: bool = False
    # Mails sent, and of them each guarded count.
    mails: int = 0
    guarded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The numbers of a trial; differences are treated minus held back, rates as fractions."""

    treated: ArmSums
    control: ArmSums
    difference: float
    low: float
    high: float
    # The newest look, and the greatest of all looks so far.
    log_e: float
    log_e_ever: float
    log_e_harm: float
    # The narrowest look at each entry day, for a picture: (day, low, high).
    looks: tuple[tuple[int, float, float], ...]
    guards: Mapping[str, float]
    log_e_split: float
    verdicts: tuple[VerdictWord, ...]

    @property
    def is_split_wrong(self) -> bool:
        """True: the arms are not split as meant, so nothing else can be trusted."""
        return self.log_e_split >= SPLIT_ALARM


def judge(trial: Trial, *, alpha: float = ALPHA) -> Judgement:
    """Return what the rows of a trial show; `undecided` while the split of the arms is wrong."""
    look = _Look(trial, alpha)
    for day in sorted({sums.day for sums in trial.days}):
        look.add(day)
    split = max((_split_of(epoch, trial) for epoch in trial.epochs), default=0.0)
    guards = {
        name: log_e_above(count, trial.mails, GUARD_BOUNDS[name])
        for name, count in trial.guarded.items()
        if trial.mails and name in GUARD_BOUNDS
    }
    pairs = look.comparisons
    treated = _sum(pair.treated for pair in pairs)
    control = _sum(pair.control for pair in pairs)
    found: tuple[VerdictWord, ...] = ("undecided",)
    if split < SPLIT_ALARM:
        found = look.verdicts(guards)
    return Judgement(
        *(treated, control, look.difference, look.low, look.high),
        *(look.log_e, look.log_e_ever, look.log_e_harm, tuple(look.looks)),
        *(guards, split, found),
    )


def _split_of(epoch: EpochShape, trial: Trial) -> float:
    counts = trial.enrolled.get(epoch.id, ())
    if not sum(counts):
        return 0.0
    # A variant that ended gets nobody more; a run that began at that moment is no fault.
    shares = {place: arm.share for place, arm in enumerate(epoch.arms) if arm.share or not place}
    entered = {str(place): counts[place] for place in shares if counts[place]}
    return log_e_split(entered, {str(place): share for place, share in shares.items()})


def _sum(sums: Iterable[ArmSums]) -> ArmSums:
    total = ArmSums()
    for arm in sums:
        total = total.plus(arm)
    return total


class _Look:
    """The evidence up to an entry day; `add` takes the next one."""

    def __init__(self, trial: Trial, alpha: float) -> None:
        self._trial, self._alpha = trial, alpha
        self._by_day: dict[int, list[DaySums]] = {}
        for sums in trial.days:
            self._by_day.setdefault(sums.day, []).append(sums)
        self._compared = [epoch for epoch in trial.epochs if 0 < epoch.holdout < 1]
        # (epoch, is without mail) -> its amounts, its people and how many of them have the outcome.
        self._totals: dict[tuple[int, bool], CovariateSums] = {}
        self._people: dict[tuple[int, bool], int] = {}
        self._converted: dict[tuple[int, bool], int] = {}
        # True: averages are compared, False: labels; None: too few people to choose.
        self._by_averages: bool | None = True if trial.is_amount else None
        self.low, self.high = -inf, inf
        self.log_e = self.log_e_ever = self.log_e_harm = 0.0
        self.looks: list[tuple[int, float, float]] = []

    def add(self, day: int) -> None:
        """Take the people who entered on this day, and look."""
        for sums in self._by_day[day]:
            place = sums.epoch, sums.arm == 0
            if self._trial.is_amount:
                self._totals[place] = self._totals.get(place, NOTHING).plus(sums.amounts)
            self._people[place] = self._people.get(place, 0) + sums.people
            self._converted[place] = self._converted.get(place, 0) + sums.converted
        low, high = self._interval()
        self.low, self.high = averages.narrowest([(self.low, self.high), (low, high)])
        self.looks.append((day, self.low, self.high))
        if self._compared:
            self.log_e, harm = self._evidence()
            self.log_e_ever = max(self.log_e_ever, self.log_e)
            self.log_e_harm = max(self.log_e_harm, harm)

    @property
    def comparisons(self) -> list[Comparison]:
        """Return treated and held back of every epoch, with what they spent before taken out of amounts."""
        return [self._comparison(epoch.id) for epoch in self._trial.epochs]

    def _comparison(self, epoch: int) -> Comparison:
        if not self._trial.is_amount:
            return Comparison(self._rate(epoch, False), self._rate(epoch, True))
        treated = self._totals.get((epoch, False), NOTHING)
        control = self._totals.get((epoch, True), NOTHING)
        if treated.sums.n and control.sums.n:
            return averages.adjusted(treated, control)
        return Comparison(treated.sums, control.sums)

    def _rate(self, epoch: int, is_without: bool) -> ArmSums:
        people, converted = (
            self._people.get((epoch, is_without), 0),
            self._converted.get((epoch, is_without), 0),
        )
        return ArmSums(people, float(converted), float(converted), converted)

    @property
    def difference(self) -> float:
        """Return treated minus held back, epochs weighted by what they can tell; 0 without a comparison."""
        pairs = [pair for pair in self.comparisons if pair.treated.n and pair.control.n]
        weights = [pair.treated.n * pair.control.n / pair.both.n for pair in pairs]
        total = sum(weights)
        if not total:
            return 0.0
        return sum(weight * pair.difference for weight, pair in zip(weights, pairs, strict=True)) / total

    def verdicts(self, guards: Mapping[str, float]) -> tuple[VerdictWord, ...]:
        """Return the verdicts that hold now."""
        promised = self._trial.expectation
        if promised is not None and not promised.needs_holdout:
            return self._level_verdicts(promised, guards)
        evidence = Evidence(
            difference=self.difference,
            log_e=self.log_e_ever,
            log_e_harm=self.log_e_harm,
            low=self.low,
            high=self.high,
            expected=self._expected(promised),
            should_fall=promised is not None and promised.should_fall,
            guards=guards,
        )
        return verdicts(evidence, alpha=self._alpha)

    def _level_verdicts(self, promised: Expectation, guards: Mapping[str, float]) -> tuple[VerdictWord, ...]:
        """Return whether a level is reached or missed; without people held back only a guard shows harm."""
        evidence = Evidence(
            self.difference if self._compared else 0.0,
            self.log_e_ever,
            self.log_e_harm,
            self.low,
            self.high,
            expected=promised.size,
            should_fall=promised.should_fall,
            guards=guards,
        )
        return verdicts(evidence, alpha=self._alpha)

    def _expected(self, promised: Expectation | None) -> float | None:
        if promised is None:
            return None
        if promised.kind == "amount":
            return promised.size * 100
        return promised.size

    def _interval(self) -> tuple[float, float]:
        """Return the interval of this look, in the unit of the expectation."""
        promised = self._trial.expectation
        if promised is not None and not promised.needs_holdout:
            mailed = _sum(pair.treated for pair in self.comparisons)
            return level_interval(mailed.events, mailed.n, self._alpha)
        if not self._compared:
            return -inf, inf
        if promised is not None and promised.kind == "relative" and not self._trial.is_amount:
            low, high = labels.ratio_interval(self._labels(), self._alpha)
            return low - 1, high - 1
        low, high = averages.interval(self._pairs(), self._tau(), self._alpha)
        if promised is not None and promised.kind == "relative":
            mean = _sum(pair.control for pair in self._pairs()).mean
            return (low / mean, high / mean) if mean > 0 else (-inf, inf)
        return low, high

    def _evidence(self) -> tuple[float, float]:
        """Return the log e-values of this look against no difference, and for harm alone."""
        promised = self._trial.expectation
        should_fall = promised is not None and promised.should_fall
        if self._by_averages is None:
            both = _sum(pair.both for pair in self._pairs())
            if both.n >= _PEOPLE_TO_CHOOSE:
                self._by_averages = both.mean > _RATE_OF_AVERAGES
        if self._by_averages:
            log_e = averages.log_e(self._pairs(), self._tau())
            is_bad = (self.difference > 0) if should_fall else (self.difference < 0)
            return log_e, log_e if is_bad else 0.0
        counts = self._labels()
        direction: labels.Direction = "more" if should_fall else "less"
        harm = labels.log_e_one_sided(counts, direction, above=self.log_e_harm)
        return labels.log_e(counts), harm

    def _labels(self) -> list[labels.LabelCounts]:
        found = []
        for epoch in self._compared:
            treated = self._converted.get((epoch.id, False), 0)
            control = self._converted.get((epoch.id, True), 0)
            found.append(labels.LabelCounts(treated, treated + control, 1 - epoch.holdout))
        return found

    def _pairs(self) -> list[Comparison]:
        compared = {epoch.id for epoch in self._compared}
        return [
            pair
            for epoch, pair in zip(self._trial.epochs, self.comparisons, strict=True)
            if epoch.id in compared
        ]

    def _tau(self) -> float:
        promised = self._trial.expectation
        if promised is not None and promised.kind in ("points", "amount"):
            return abs(self._expected(promised) or 0.0) or 1.0
        mean = _sum(pair.both for pair in self._pairs()).mean
        if promised is not None and promised.kind == "relative":
            return abs(promised.size) * mean or 1.0
        return USUAL_EFFECT * abs(mean) or 1.0


def sums_of_day(sums: DaySums, is_amount: bool) -> CovariateSums:
    """Return the sums of what is compared: amounts, or one for each person with the outcome."""
    if is_amount:
        return sums.amounts
    rate = ArmSums(sums.people, float(sums.converted), float(sums.converted), sums.converted)
    return CovariateSums(rate, ArmSums(sums.people), 0.0)
