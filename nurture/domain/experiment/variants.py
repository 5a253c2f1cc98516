"""Variants against each other: live arms at equal shares, arms that are shown to be worse end, the cheapest rest wins.

The value of an arm is the metric's: how many of its people have the outcome, or the mean amount. Each pair of arms has
a confidence sequence at its part of alpha, looked at on each entry day. An arm ends when another one's sequence lies
wholly above it, or when it is shown to be worse than no mail at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

from nurture.domain.experiment import averages
from nurture.domain.experiment.arms import Choice, Interval, alpha_per_pair, eliminate
from nurture.domain.experiment.averages import ArmSums, Comparison, CovariateSums
from nurture.domain.experiment.judgement import NOTHING, USUAL_EFFECT, DaySums, EpochShape, Trial, sums_of_day
from nurture.domain.experiment.verdicts import ALPHA


@dataclass(frozen=True, slots=True)
class Race:
    """The variants of a trial: what each has reached, and which is to stay."""

    # By name of the arm, that without mail first.
    arms: Mapping[str, ArmSums]
    # (a, b) -> the differences value(a) - value(b) that are not refuted, in the metric's unit.
    differences: Mapping[tuple[str, str], Interval]
    # Arms whose values differ by less are as good as each other.
    close: float
    choice: Choice


def judge_variants(trial: Trial, *, alpha: float = ALPHA) -> Race | None:
    """Return the race of the newest epoch's variants; None for a measure without any.

    The arms' order is that of their costs: the first is the cheapest.
    """
    newest = trial.epochs[-1]
    control, *variants = (arm.name for arm in newest.arms)
    if len(variants) < 2:
        return None
    look = _Look(trial, alpha_per_pair(alpha, len(variants)), (control, *variants))
    for day in sorted({sums.day for sums in trial.days}):
        look.add(day)
    sign = -1 if trial.expectation is not None and trial.expectation.should_fall else 1
    better = {pair: _signed(interval, sign) for pair, interval in look.differences.items()}
    worse_than_nothing = {name for name in variants if better[name, control][1] < 0}
    costs = {name: float(place) for place, name in enumerate(variants) if name not in worse_than_nothing}
    among = {pair: interval for pair, interval in better.items() if set(pair) <= costs.keys()}
    choice = eliminate(among, costs, close=look.tau() / 2)
    ended = tuple(name for name in variants if name not in choice.live)
    return Race(
        {name: look.total(name) for name in (control, *variants)},
        look.differences,
        look.tau() / 2,
        Choice(choice.live, ended, choice.winner),
    )


def _signed(interval: Interval, sign: int) -> Interval:
    low, high = interval
    return (low, high) if sign > 0 else (-high, -low)


class _Look:
    """The sums of every arm up to an entry day; `add` takes the next one and looks at each pair."""

    def __init__(self, trial: Trial, alpha: float, names: Sequence[str]) -> None:
        self._trial, self._alpha, self._names = trial, alpha, names
        self._days: dict[int, list[DaySums]] = {}
        for sums in trial.days:
            self._days.setdefault(sums.day, []).append(sums)
        self._arms = {
            (epoch.id, place): arm.name for epoch in trial.epochs for place, arm in enumerate(epoch.arms)
        }
        self._sums: dict[tuple[int, str], CovariateSums] = {}
        # The later arm first, and last the one without mail: (variant, no mail).
        control, *variants = names
        pairs = [(b, a) for a, b in combinations(variants, 2)] + [(name, control) for name in variants]
        self.differences: dict[tuple[str, str], Interval] = dict.fromkeys(pairs, (-inf, inf))

    def add(self, day: int) -> None:
        """Take the people who entered on this day, and narrow the interval of each pair."""
        for sums in self._days[day]:
            place = sums.epoch, self._arms[sums.epoch, sums.arm]
            self._sums[place] = self._sums.get(place, NOTHING).plus(sums_of_day(sums, self._trial.is_amount))
        tau = self.tau()
        for pair, before in self.differences.items():
            look = averages.interval(list(self._comparisons(*pair)), tau, self._alpha)
            self.differences[pair] = averages.narrowest([before, look])

    def total(self, name: str) -> ArmSums:
        """Return the sums of an arm over all epochs."""
        total = ArmSums()
        for epoch in self._trial.epochs:
            total = total.plus(self._of(epoch, name).sums)
        return total

    def tau(self) -> float:
        """Return the promised difference in the metric's unit; without one a fifth of the mean."""
        promised, mean = self._trial.expectation, self._mean()
        if promised is not None and promised.kind == "points":
            return abs(promised.size) or 1.0
        if promised is not None and promised.kind == "amount":
            return abs(promised.size) * 100 or 1.0
        is_relative = promised is not None and promised.kind == "relative"
        share = abs(promised.size) if promised is not None and is_relative else USUAL_EFFECT
        return share * abs(mean) or 1.0

    def _mean(self) -> float:
        total = ArmSums()
        for name in self._names:
            total = total.plus(self.total(name))
        return total.mean

    def _of(self, epoch: EpochShape, name: str) -> CovariateSums:
        return self._sums.get((epoch.id, name), NOTHING)

    def _comparisons(self, a: str, b: str) -> Iterator[Comparison]:
        """Yield both arms of each epoch in which people entered both."""
        for epoch in self._trial.epochs:
            shares = {arm.name: arm.share for arm in epoch.arms}
            if shares.get(a, 0) > 0 and shares.get(b, 0) > 0:
                mine, other = self._of(epoch, a), self._of(epoch, b)
                if self._trial.is_amount and mine.sums.n and other.sums.n:
                    yield averages.adjusted(mine, other)
                else:
                    yield Comparison(mine.sums, other.sums)
