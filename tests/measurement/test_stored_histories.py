"""Drawn histories through both databases: their rows give the sums and the judgement of the histories themselves."""

from random import Random  # noqa: TID251 - drawn people, with a fixed seed
from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.experiment.judgement import Trial, judge
from nurture.domain.instant import DAY, HOUR
from nurture.measurement.trials import measure_trials
from tests.measurement.histories import Stretch, draw
from tests.measurement.shop import OFFER, a_shop
from tests.rig.examples import ALL_HISTORIES as ALL

RUNS = 20 if ALL else 2
#: Without an effect, by each share that is held back.
STRETCHES = [Stretch(30, 60, holdout, 0.1, 0.1) for holdout in (0.5, 0.1)]


def rows_of(trial: Trial, experiment: int, start: int, first: int) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return the enrolments and the orders of a history; its contacts are numbered from `first` on."""
    entered: list[dict[str, Any]] = []
    orders: list[Any] = []
    for sums in trial.days:
        for place in range(sums.people):
            contact, at = first + len(entered), start + sums.day * DAY + place % 24 * HOUR
            entered.append(
                {"experiment": experiment, "contact_id": contact, "arm": sums.arm, "entered_at": at,
                 "matures_at": at + 10 * DAY}
            )  # fmt: skip
            if place < sums.converted:
                orders.append(
                    {"contact_id": contact, "name": "order", "entity_key": "1", "kind": "counted",
                     "at": at + DAY, "number": 1, "value_minor": 1000}
                )  # fmt: skip
    return entered, orders


def test_stored_histories_are_judged_as_the_drawn_ones(database: Database) -> None:
    shop, random = a_shop(database), Random(21)
    trials = [draw(random, [STRETCHES[number % 2]], "+2%") for number in range(RUNS)]
    (epoch,) = shop.rows(t.experiments, measure=OFFER)
    start, first = shop.now // DAY * DAY - 60 * DAY, 1
    for number, trial in enumerate(trials):
        shares = f'[["held back", {STRETCHES[number % 2].holdout}], ["mailed", {1 - STRETCHES[number % 2].holdout}]]'
        own = {"id": epoch.id + 1 + number, "measure": f"h{number}", "arms": shares}
        entered, orders = rows_of(trial, own["id"], start, first)
        first += len(entered)
        with database.write() as connection:
            connection.execute(sa.insert(t.experiments).values({**epoch._mapping, **own}))
            connection.execute(sa.insert(t.enrolments), entered)
            connection.execute(sa.insert(t.outcomes), orders)
    with database.read() as connection:
        stored = measure_trials(connection, now=shop.now, only=[f"h{number}" for number in range(RUNS)])
    for number, trial in enumerate(trials):
        mine, drawn = stored[f"h{number}"], judge(trial)
        sums = {(day.arm, day.day - start // DAY): (day.people, day.converted) for day in mine.trial.days}
        assert sums == {(day.arm, day.day): (day.people, day.converted) for day in trial.days if day.people}
        judged = mine.judgement
        assert (
            judged.log_e,
            judged.log_e_harm,
            judged.low,
            judged.high,
            judged.log_e_split,
            judged.verdicts,
        ) == (*(drawn.log_e, drawn.log_e_harm, drawn.low, drawn.high, drawn.log_e_split, drawn.verdicts),)
