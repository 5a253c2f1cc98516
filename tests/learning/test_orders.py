"""Churn and value on the purchases of a real shop, and on rows that decide what may be read."""

from dataclasses import replace

import numpy as np
import pytest

from nurture.domain.instant import DAY, WEEK
from nurture.learning.churn import learn_churn
from nurture.learning.lifetime_value import learn_value
from nurture.learning.order_history import in_days, order_history
from nurture.learning.purchases import features, histories
from nurture.learning.results import LearntModel, Refusal
from tests.learning.rows import CUT, OrderRow, cdnow, order_columns

QUARTER, LONG = 13 * WEEK, 39 * WEEK


def learnt(model: LearntModel | Refusal) -> LearntModel:
    assert isinstance(model, LearntModel), model
    return model


def refused(model: LearntModel | Refusal) -> str:
    assert isinstance(model, Refusal)
    return model.text


def test_churn_is_ordered_better_than_by_recency() -> None:
    model = learnt(learn_churn(order_columns(cdnow()), now=CUT + QUARTER, horizon=QUARTER))
    test = model.back_test
    assert (model.rule, test.is_better, test.since, test.fitted_days) == ("model", True, CUT, 91)
    everybody, repeaters = test.rankings["all"], test.rankings["repeaters"]
    assert everybody.people == len(model.numbers) > 2 * repeaters.people
    for part, least in ((everybody, 0.76), (repeaters, 0.70)):
        assert part.area is not None
        assert part.area_recency is not None
        assert part.area > part.area_recency
        assert part.area > least
    assert everybody.highest_tenth >= everybody.highest_tenth_recency
    # Of the tenth that is thought safest more than two and a half times as many buy as of all.
    assert 1 - everybody.lowest_tenth > 2.5 * (1 - everybody.share)
    assert test.calibration_error is not None
    assert test.calibration_error < 0.05, "tenths of 235 people: half of it is sampling"


def test_a_history_too_short_for_two_periods_is_judged_by_its_order_alone() -> None:
    test = learnt(learn_churn(order_columns(cdnow()), now=CUT + LONG, horizon=LONG)).back_test
    assert test.calibration_error is None
    assert test.fitted_days == pytest.approx(136.25)
    assert test.is_better


def test_value_is_forecast_from_rhythm_and_amounts() -> None:
    model = learnt(learn_value(order_columns(cdnow(), "USD"), now=CUT + LONG, horizon=LONG))
    amounts = model.back_test.amounts
    assert amounts is not None
    assert 0.75 < amounts.ratio < 1.25
    assert amounts.top_tenth > max(amounts.top_tenth_recency, amounts.top_tenth_by_orders)
    assert model.currency == "USD"
    person, number = max(model.numbers.items(), key=lambda item: item[1])
    orders, amount, _ = model.reasons(person)
    assert orders.value * amount.value == pytest.approx(number)


def test_nothing_of_the_instant_or_later_is_read() -> None:
    rows = cdnow()
    day = in_days(CUT)
    before = histories(order_history(order_columns(rows)).known(day), day)
    first = next(row for row in rows if row[2] < CUT)
    later: list[OrderRow] = [
        (first[0], 10**6, CUT, True, 1, 99_900),
        (first[0], first[1], CUT + DAY, False, -1, -first[5]),
    ]
    after = histories(order_history(order_columns([*rows, *later])).known(day), day)
    assert np.array_equal(features(before), features(after))
    assert np.array_equal(before.person, after.person)


def test_an_order_that_was_cancelled_before_is_none() -> None:
    rows: list[OrderRow] = [
        (1, 0, CUT - 9 * DAY, True, 1, 500),
        (1, 1, CUT - 5 * DAY, True, 1, 700),
        (1, 1, CUT - 4 * DAY, False, -1, -700),
        (2, 2, CUT - 5 * DAY, True, 1, 700),
        (2, 2, CUT - 4 * DAY, False, 0, -200),
        (2, 3, CUT - 5 * DAY + 1, True, 1, 100),
    ]
    day = in_days(CUT)
    known = histories(order_history(order_columns(rows)).known(day), day)
    assert known.person.tolist() == [1, 2]
    # The second person's orders of one day are one purchase.
    assert known.orders.tolist() == [1, 1]
    assert known.spent.tolist() == [5, 6]
    assert known.silence.round(6).tolist() == [9, 5]


def test_too_few_people_and_too_short_a_history_are_refused() -> None:
    few = order_columns([row for row in cdnow() if row[0] < 4_000])
    assert "it takes 200" in refused(learn_churn(few, now=CUT + QUARTER, horizon=QUARTER))
    assert "it takes 200" in refused(learn_value(few, now=CUT + LONG, horizon=LONG))
    everybody = order_columns(cdnow())
    assert "from 1997-02-17 on" in refused(
        learn_churn(everybody, now=CUT - 35 * WEEK, horizon=4 * WEEK + 3 * DAY)
    )
    # Nobody buys any more.
    silent = refused(learn_churn(everybody, now=CUT + 200 * WEEK, horizon=QUARTER))
    assert silent.startswith("0 of")
    nothing = replace(everybody, person=[], key=[], at=[], is_counted=[], number=[], amount=[])
    assert refused(learn_churn(nothing, now=CUT, horizon=QUARTER)) == "nobody has ordered yet"
    assert refused(learn_value(nothing, now=CUT, horizon=QUARTER)) == "nobody has ordered yet"


def test_reasons_are_the_three_features_that_move_a_number_most() -> None:
    model = learnt(learn_churn(order_columns(cdnow()), now=CUT + QUARTER, horizon=QUARTER))
    person = max(model.numbers, key=lambda contact: model.numbers[contact])
    effects = [reason.effect for reason in model.reasons(person)]
    assert len(effects) == 3
    assert effects == sorted(effects, key=abs, reverse=True)
    assert effects[0] > 0, "the likeliest to leave has a first reason that raises it"
    assert model.reasons(-1) == ()
