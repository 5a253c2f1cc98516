"""Planted effects through the whole engine: what harms or misses its promise ends on the day that the rows say."""

import pytest

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from tests.measurement.independent import first_days
from tests.measurement.simulated import Life, a_life, export_people, planted_rates
from tests.rig.examples import ALL_HISTORIES as ALL

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: The promise of each of these measures.
PROMISED = 0.02


def check(life: Life, expected: dict[str, list[str]]) -> None:
    """Compare what the daily task did with what the exported rows say, and with what was planted.

    expected: measure -> its consequences, the first one first.
    """
    for measure, planted in life.rates.items():
        share = 1 - float(planted["holdout"].removesuffix("%")) / 100
        people = export_people(life.shop, measure)
        days = first_days(people, life.judged_at, share, PROMISED)
        assert life.ended(measure) == days, measure
        assert sorted(days, key=days.__getitem__) == expected.get(measure, []), measure
        # Those who come at the instant of a stop are in neither arm; those who come before entries are closed are.
        stopped, closed = days.get("stopped", life.shop.now), days.get("sent_back", life.shop.now)
        entered = [person for person in people if person.entered_at < stopped and person.entered_at <= closed]
        assert life.shop.figures(measure)["enrolled"] == len(entered)
    decided = {(row.action, row.day) for row in life.shop.rows(t.decisions) if row.action}
    ended = {(name, at // DAY * DAY) for measure in life.rates for name, at in life.ended(measure).items()}
    assert decided == ended


#: Name of the rates -> people at once, days between, days, and each measure's consequences.
LIVES = {"quarter": (57, 5, 90, {"lead/any/offer": ["stopped"]})}
if ALL:
    LIVES["year"] = (60, 14, 365, {"lead/any/offer": ["stopped"], "lead/any/letter": ["sent_back"]})


@pytest.mark.parametrize("name", LIVES)
def test_measures_that_harm_or_miss_end_on_the_day_that_the_rows_say(database: Database, name: str) -> None:
    people, every, days, expected = LIVES[name]
    life = a_life(database, planted_rates(name), people, every=every)
    life.live(days)
    check(life, expected)
    sent = life.shop.rows(t.messages, status="sent")
    assert {row.measure for row in sent} == set(life.rates)
    assert life.shop.rows(t.messages, status="failed") == []
