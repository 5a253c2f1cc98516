"""Histories through the product's own functions, looked at after every entry day: how often a verdict is false.

The suite draws few of them; `make experiments` draws a thousand of each, with the bounds of the specification.
"""

from dataclasses import replace
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

import pytest

from nurture.domain.experiment.averages import ArmSums
from nurture.domain.experiment.epochs import Arm
from nurture.domain.experiment.judgement import EpochShape, Trial, judge
from nurture.domain.experiment.labels import LabelCounts, log_e
from nurture.domain.experiment.sample_size import people_for_rates
from tests.measurement.histories import Stretch, draw, shares
from tests.rig.examples import ALL_HISTORIES as ALL

RUNS = 1_000 if ALL else 60
DAYS = 180 if ALL else 45
#: A share of false verdicts of 5 % may look like so much in so few runs (three standard errors).
MOST = 0.05 + (0.0 if ALL else 0.085)


@pytest.mark.parametrize("holdout", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05] if ALL else [0.02])
def test_without_an_effect_hardly_any_measure_harms_or_works(holdout: float, rate: float) -> None:
    found, split = shares(1, RUNS, [Stretch(DAYS, 500, holdout, rate, rate)])
    assert found["harms"] + found["works"] <= MOST
    assert found["reaches"] <= MOST
    assert split <= 0.01 + MOST - 0.05


@pytest.mark.parametrize("holdout", [0.05, 0.1, 0.5] if ALL else [0.1])
@pytest.mark.parametrize("rate", [0.3, 0.6] if ALL else [0.6])
def test_a_high_rate_without_an_effect_hardly_ever_harms_or_works(holdout: float, rate: float) -> None:
    found, _ = shares(9, RUNS, [Stretch(DAYS, 500, holdout, rate, rate)])
    assert found["harms"] + found["works"] <= MOST


def test_a_high_rate_is_compared_as_an_average_which_sees_more() -> None:
    trial = draw(Random(10), [Stretch(20, 400, 0.5, 0.6, 0.65)], "+5%")
    converted = [sum(sums.converted for sums in trial.days if sums.arm == arm) for arm in (0, 1)]
    by_labels = log_e([LabelCounts(converted[1], sum(converted), 0.5)])
    assert judge(trial).log_e > 1.5 * by_labels > 0
    low = draw(Random(10), [Stretch(20, 400, 0.5, 0.2, 0.25)], "+5%")
    converted = [sum(sums.converted for sums in low.days if sums.arm == arm) for arm in (0, 1)]
    assert judge(low).log_e == log_e([LabelCounts(converted[1], sum(converted), 0.5)])


@pytest.mark.parametrize("holdout", [0.05, 0.5] if ALL else [0.1])
def test_money_without_an_effect_hardly_ever_harms_or_works(holdout: float) -> None:
    found, _ = shares(2, RUNS, [Stretch(DAYS, 300, holdout, 0.02, 0.02, sigma=1.5)], "+0.20 EUR")
    assert found["harms"] + found["works"] <= MOST


def test_at_the_promised_effect_hardly_any_measure_misses() -> None:
    found, _ = shares(3, RUNS, [Stretch(DAYS, 500, 0.1, 0.05, 0.07)])
    assert found["misses"] <= MOST
    assert found["harms"] == 0


def test_just_below_the_promise_hardly_any_measure_reaches_it() -> None:
    found, _ = shares(4, RUNS, [Stretch(DAYS, 500, 0.1, 0.05, 0.0699)])
    assert found["reaches"] <= MOST


@pytest.mark.parametrize(("rate", "word"), [(0.07, "works"), (0.03, "harms")])
def test_two_points_are_found_within_four_times_the_fixed_size(rate: float, word: str) -> None:
    days = round(4 * people_for_rates(0.05, rate - 0.05, 0.1) / 500)
    found, _ = shares(5, RUNS, [Stretch(days, 500, 0.1, 0.05, rate)])
    assert found[word] >= 0.95 - (MOST - 0.05)  # type: ignore[index]
    assert found["harms" if word == "works" else "works"] == 0


def test_a_share_that_changed_while_the_season_did_shows_no_effect() -> None:
    stretches = [Stretch(DAYS // 2, 500, 0.5, 0.05, 0.05), Stretch(DAYS // 2, 500, 0.1, 0.02, 0.02)]
    found, split = shares(6, RUNS, stretches)
    assert found["harms"] + found["works"] <= MOST
    assert split <= 0.01 + MOST - 0.05


def test_both_epochs_thrown_together_would_show_one() -> None:
    stretches = [Stretch(DAYS // 2, 500, 0.5, 0.05, 0.05), Stretch(DAYS // 2, 500, 0.1, 0.02, 0.02)]
    trial = draw(Random(6), stretches, "+2%")
    assert judge(trial).verdicts != ("works",)
    assert "harms" in judge(as_one_epoch(trial)).verdicts


def as_one_epoch(trial: Trial) -> Trial:
    """Return the trial as somebody reads it who adds everything up."""
    control, mailed = (sum(counts[arm] for counts in trial.enrolled.values()) for arm in (0, 1))
    share = control / (control + mailed)
    return replace(
        trial,
        epochs=[EpochShape(1, (Arm("held back", share), Arm("mailed", 1 - share)))],
        days=[replace(sums, epoch=1) for sums in trial.days],
        enrolled={1: [control, mailed]},
    )


def test_arms_that_are_split_wrongly_are_found() -> None:
    _, split = shares(7, RUNS, [Stretch(DAYS, 500, 0.1, 0.05, 0.05, real_holdout=0.08)])
    assert split >= 0.95


def test_epochs_of_one_trial_multiply_their_evidence() -> None:
    stretch = Stretch(10, 400, 0.5, 0.05, 0.075)
    both = judge(draw(Random(8), [stretch, stretch], "+2%"))
    trial = draw(Random(8), [stretch, stretch], "+2%")
    first = judge(
        replace(trial, epochs=trial.epochs[:1], days=[sums for sums in trial.days if sums.epoch == 1])
    )
    second = judge(
        replace(trial, epochs=trial.epochs[1:], days=[sums for sums in trial.days if sums.epoch == 2])
    )
    assert both.log_e == pytest.approx(first.log_e + second.log_e)


def test_spending_before_entry_makes_the_interval_narrower() -> None:
    random = Random(9)
    trial = draw(random, [Stretch(40, 200, 0.5, 0.3, 0.3, sigma=1.0)], "+1.00 EUR")
    plain = judge(trial)
    # As if half of an amount were known before.
    known = [
        replace(
            sums,
            amounts=replace(
                sums.amounts,
                covariate=ArmSums(sums.people, sums.amounts.sums.total, sums.amounts.sums.squares),
                product=sums.amounts.sums.squares,
            ),
        )
        for sums in trial.days
    ]
    adjusted = judge(replace(trial, days=known))
    assert adjusted.high - adjusted.low < 0.5 * (plain.high - plain.low)


def test_an_interval_only_gets_narrower_and_an_open_one_says_nothing() -> None:
    found = judge(draw(Random(10), [Stretch(30, 300, 0.2, 0.05, 0.06)], "+2%"))
    widths = [high - low for _, low, high in found.looks]
    assert widths == sorted(widths, reverse=True)
    empty = judge(Trial([EpochShape(1, (Arm("held back", 0.1), Arm("mailed", 0.9)))], [], {1: [0, 0]}, None))
    assert (empty.verdicts, empty.log_e, empty.difference) == (("undecided",), 0.0, 0.0)
    assert judge(draw(Random(1), [Stretch(1, 10, 0.0, 0.5, 0.5)], "+2%")).verdicts == ("undecided",)
