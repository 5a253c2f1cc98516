"""The methods under the models: each on numbers whose answer is known otherwise."""

from math import log

import numpy as np
import pytest

from nurture.learning.arrays import Floats
from nurture.learning.logistic import fit_logistic
from nurture.learning.purchase_rate import fit_purchase_rate
from nurture.learning.purchase_value import fit_purchase_value
from nurture.learning.purchases import WEEK, Histories
from nurture.learning.ranking import area_under_curve, calibration_error, groups_of, top_tenth


def test_a_yes_or_no_feature_gets_the_logarithm_of_the_odds_ratio() -> None:
    # 3,000 of 10,000 with the feature, 1,000 of 10,000 without it.
    feature = np.repeat([1.0, 0.0], 10_000)[:, None]
    labels = np.concatenate([np.arange(10_000) < 3_000, np.arange(10_000) < 1_000])
    model = fit_logistic(("x",), feature, labels)
    assert model.weights[0] / model.scales[0] == pytest.approx(log((0.3 / 0.7) / (0.1 / 0.9)), rel=0.01)
    assert model.probabilities(np.array([[1.0], [0.0]])) == pytest.approx([0.3, 0.1], abs=0.002)


def test_a_feature_that_never_varies_or_tells_all_has_a_finite_weight() -> None:
    labels = np.arange(1_000) < 500
    rows = np.column_stack([np.ones(1_000), labels.astype(float)])
    model = fit_logistic(("same", "all"), rows, labels)
    assert model.weights[0] == pytest.approx(0, abs=1e-6)
    assert 1 < model.weights[1] < 20


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.8, 0.9])
    labels = np.array([False, True, False, True, False, True])
    pairs = [(above > below) + (above == below) / 2 for above in scores[labels] for below in scores[~labels]]
    assert area_under_curve(scores, labels) == pytest.approx(np.mean(pairs))
    assert area_under_curve(scores, np.ones(6, dtype=np.bool_)) is None


def test_tenths_and_calibration() -> None:
    forecast = np.linspace(0, 1, 100, endpoint=False)
    groups = groups_of(forecast, forecast + 0.1)
    assert [group.people for group in groups] == [10] * 10
    assert calibration_error(groups) == pytest.approx(0.1)
    assert np.flatnonzero(top_tenth(forecast)).tolist() == list(range(90, 100))


def drawn_histories(people: int, weeks: float, ahead: float) -> tuple[Histories, Floats, Floats]:
    """Let people buy at a rate of their own until they stop; return them, and their purchases of the time after."""
    numbers = np.random.default_rng(7)
    rates = numbers.gamma(0.8, 1 / 6.0, people)
    stops = numbers.beta(0.9, 2.8, people)
    starts = numbers.uniform(0, 12, people)
    repeats, last, later, means = (np.zeros(people) for _ in range(4))
    means = 20.0 / numbers.gamma(4.0, 1.0, people)
    spent = np.zeros(people)
    for place in range(people):
        at = starts[place]
        while numbers.uniform() > (stops[place] if repeats[place] + later[place] else 0.0):
            at += numbers.exponential(1 / rates[place])
            if at >= weeks + ahead:
                break
            if at < weeks:
                repeats[place], last[place] = repeats[place] + 1, at - starts[place]
                spent[place] += numbers.gamma(5.0, means[place])
            else:
                later[place] += 1
    tenure = (weeks - starts) * WEEK
    known = Histories(np.arange(people), repeats + 1, spent, spent, repeats, tenure - last * WEEK, tenure, ())
    return known, later, means * 5


def test_drawn_customers_are_forecast_as_they_go_on() -> None:
    known, later, means = drawn_histories(10_000, 52.0, 26.0)
    rate = fit_purchase_rate(known)
    assert rate.r == pytest.approx(0.8, rel=0.15)
    assert rate.alpha == pytest.approx(6.0, rel=0.15)
    expected = rate.expected(known, 26.0)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.04)
    for group in groups_of(expected, later)[-3:]:
        assert group.forecast == pytest.approx(group.came, rel=0.15)
    assert rate.buys(known, 26.0).mean() == pytest.approx((later > 0).mean(), rel=0.04)
    value = fit_purchase_value(known)
    assert value.p == pytest.approx(5.0, rel=0.1)
    is_paid = known.repeats > 0
    assert value.expected(known)[is_paid].mean() == pytest.approx(means[is_paid].mean(), rel=0.05)
