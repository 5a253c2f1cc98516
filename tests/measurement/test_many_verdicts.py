"""Many measures at a time: which of those that work hold together, and how many verdicts chance alone would give."""

from dataclasses import replace
from math import log

import pytest

from nurture.database.engine import Database
from nurture.measurement.many_verdicts import verdicts_by_chance, works_together
from nurture.measurement.trials import MeasuredTrial, measure_trials
from tests.measurement.shop import OFFER, a_shop

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def with_evidence(trial: MeasuredTrial, log_e: float) -> MeasuredTrial:
    return replace(trial, judgement=replace(trial.judgement, log_e=log_e))


def test_a_measure_that_works_alone_may_not_beside_many_others(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(400, 400, bought=(40, 60))
    with database.read() as connection:
        trial = measure_trials(connection, now=shop.now)[OFFER]
    works = with_evidence(trial, log(30))
    others = {f"other {number}": with_evidence(trial, 0.0) for number in range(39)}
    assert works_together({"it": works}) == {"it"}
    assert works_together({"it": works, **others}) == set()
    assert works_together({"it": with_evidence(trial, log(500)), **others}) == {"it"}
    assert verdicts_by_chance([works, *others.values()]) == (40, 2.0)


def test_the_report_says_what_works_beside_all_others(database: Database) -> None:
    shop = a_shop(database)
    assert (shop.report()[OFFER]["compared"], shop.report()[OFFER]["works_together"]) == (0, False)
    shop.enter(400, 400, bought=(20, 100))
    row = shop.report()[OFFER]
    assert (row["works_together"], row["compared"], row["by_chance"]) == (True, 1, 0.05)


def test_harm_is_not_among_what_works(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(400, 400, bought=(100, 20))
    row = shop.report()[OFFER]
    assert (row["works_together"], row["compared"]) == (False, 1)
