"""Drawn histories of a measure, as sums of entry days: people of each arm, conversions, and money."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

from nurture.domain.experiment.averages import ArmSums, CovariateSums
from nurture.domain.experiment.epochs import Arm
from nurture.domain.experiment.expect import parse_expect
from nurture.domain.experiment.judgement import DaySums, EpochShape, Judgement, Trial, judge
from nurture.domain.experiment.verdicts import VerdictWord


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in which nothing of a measure changes."""

    days: int
    people_a_day: int
    # Share without mail as declared, and as it really is (None: the same).
    holdout: float
    # Rates without and with the measure.
    base: float
    rate: float
    # Spread of the logarithm of an order's value; 0: no money.
    sigma: float = 0.0
    real_holdout: float | None = None


def draw(random: Random, stretches: Sequence[Stretch], expect: str) -> Trial:
    """Return a trial whose epochs are these stretches, one after another."""
    days: list[DaySums] = []
    enrolled: dict[int, list[int]] = {}
    shapes, day = [], 0
    for number, stretch in enumerate(stretches, start=1):
        shapes.append(
            EpochShape(number, (Arm("held back", stretch.holdout), Arm("mailed", 1 - stretch.holdout)))
        )
        enrolled[number] = [0, 0]
        for _ in range(stretch.days):
            share = stretch.holdout if stretch.real_holdout is None else stretch.real_holdout
            without = binomial(random, stretch.people_a_day, share)
            for arm, people, rate in (
                (0, without, stretch.base),
                (1, stretch.people_a_day - without, stretch.rate),
            ):
                converted = binomial(random, people, rate)
                money = amounts(random, people, converted, stretch.sigma)
                days.append(DaySums(number, arm, day, people, converted, money))
                enrolled[number][arm] += people
            day += 1
    is_amount = any(stretch.sigma for stretch in stretches)
    return Trial(shapes, days, enrolled, parse_expect(expect), is_amount=is_amount)


def amounts(random: Random, people: int, buyers: int, sigma: float) -> CovariateSums:
    """Return the sums of what these people spent, in hundredths: orders of about 20 each, cut at 300."""
    values = [min(random.lognormvariate(3, sigma), 300.0) * 100 for _ in range(buyers)] if sigma else []
    sums = ArmSums(people, sum(values), sum(value * value for value in values), buyers)
    return CovariateSums(sums, ArmSums(people), 0.0)


def binomial(random: Random, number: int, rate: float) -> int:
    """Draw by the gaps between successes: as many steps as there are successes."""
    if rate <= 0 or number <= 0:
        return 0
    count, place, log_no = 0, 0, log(1 - rate)
    while True:
        place += int(log(1 - random.random()) / log_no) + 1
        if place > number:
            return count
        count += 1


def shares(
    seed: int, runs: int, stretches: Sequence[Stretch], expect: str = "+2%"
) -> tuple[dict[VerdictWord, float], float]:
    """Return the share of runs that have each verdict at the end, and of those whose split alarms."""
    random = Random(seed)
    found = [judge(draw(random, stretches, expect)) for _ in range(runs)]
    return share_of_verdicts(found), sum(judgement.is_split_wrong for judgement in found) / runs


def share_of_verdicts(found: Sequence[Judgement]) -> dict[VerdictWord, float]:
    """Return the share of judgements with each verdict."""
    words: tuple[VerdictWord, ...] = ("harms", "works", "misses", "reaches", "undecided")
    return {word: sum(word in judgement.verdicts for judgement in found) / len(found) for word in words}
