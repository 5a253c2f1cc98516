"""Planted effects through the whole engine: the harmful measure alone is stopped, on the day that the rows say."""

import pytest

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from tests.measurement.independent import first_day_of_harm
from tests.measurement.simulated import Life, a_life, export_people, planted_rates

HARMFUL = "lead/any/offer"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def check(life: Life) -> None:
    """Compare what the daily task did with what the exported rows say."""
    assert list(life.paused) == [HARMFUL]
    for measure, planted in life.rates.items():
        share = 1 - float(planted["holdout"].removesuffix("%")) / 100
        people = export_people(life.shop, measure)
        stopped = first_day_of_harm(people, life.judged_at, share)
        assert stopped == life.paused.get(measure), measure
        # Those who come at the instant of the stop or later are in neither arm.
        entered = [person for person in people if stopped is None or person.entered_at < stopped]
        assert life.shop.figures(measure)["enrolled"] == len(entered)
    (decision,) = life.shop.rows(t.decisions, action="stopped")
    assert decision.day == life.paused[HARMFUL] // DAY * DAY
    assert {row.action for row in life.shop.rows(t.decisions)} == {"", "stopped"}


def test_a_quarter_of_two_thousand_people(database: Database) -> None:
    life = a_life(database, planted_rates("quarter"), 57, every=5)
    life.live(90)
    check(life)
    sent = life.shop.rows(t.messages, status="sent")
    assert {row.measure for row in sent} == set(life.rates)
    assert life.shop.rows(t.messages, status="failed") == []
