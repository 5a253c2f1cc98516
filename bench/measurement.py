"""measurement: a day's figures over 1,000,000 enrolled people and 300,000 outcomes, against the bare join."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from bench.stage import Figure, Stage
from nurture.app.services import Services
from nurture.domain.instant import DAY, to_iso
from nurture.measurement.trials import measure_trials
from tests.rig.postgres import Postgres

#: Experiments that share the people: each person is in one.
_EXPERIMENTS = 100
_PEOPLE = 1_000_000
_ROUNDS = 2
_NUMBERS = {
    "postgresql": "SELECT generate_series(1, :people) AS n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :people) SELECT n FROM s",
}
#: Rows as the drain writes them: an entry on one of 100 days, and an order of three people in ten a day later.
_FILL = (
    """INSERT INTO contacts (id, track, stage, track_since, stage_since, first_seen_at, facts, clock)
    SELECT n, 'lead', 'aware', :start, :start, :start, '{{}}', :start FROM ({numbers}) AS numbers""",
    """INSERT INTO experiments (id, measure, path, trial, since, arms, outcome, is_amount, expect, within, currency,
    declared, signature, reason)
    SELECT n, 'lead/any/m' || n, 'lead/any/m' || n, 1, :start, '[["held back",0.1],["mailed",0.9]]', 'order', false,
    '+2%', 7 * :day, '', '[]', '', 'published' FROM ({numbers}) AS numbers WHERE n <= :experiments""",
    """INSERT INTO enrolments (experiment, contact_id, arm, entered_at, matures_at, segment, stratum, spent_before)
    SELECT 1 + n % :experiments, n, CASE WHEN (n / 10000) % 10 = 7 THEN 0 ELSE 1 END,
    :start + (n / 100 % 100) * :day, :start + (n / 100 % 100 + 10) * :day, 'aware', 'en', 0
    FROM ({numbers}) AS numbers""",
    """INSERT INTO outcomes (contact_id, name, entity_key, kind, at, number, value_minor, currency)
    SELECT n, 'order', 'o' || n, 'counted', :start + (n / 100 % 100 + 1) * :day, 1, 2000, 'EUR'
    FROM ({numbers}) AS numbers WHERE n / 7 % 10 < 3""",
)
_FLOOR = """SELECT e.experiment, e.arm, e.entered_at / 86400000000, count(*), count(o.at)
    FROM enrolments e LEFT JOIN outcomes o ON o.contact_id = e.contact_id AND o.at > e.entered_at
    AND o.at <= e.entered_at + 604800000000 GROUP BY 1, 2, 3"""


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the seconds of the task's figures on PostgreSQL and on SQLite."""
    name = postgres.create()
    figures = [_of(Stage(postgres.url(name)), scale)]
    with TemporaryDirectory(prefix="nurture-bench-") as folder:
        figures.append(_of(Stage(f"sqlite:///{folder}/nurture.db", folder=Path(folder)), scale))
    return figures


def _of(stage: Stage, scale: float) -> Figure:
    services = stage.migrated()
    people = int(_PEOPLE * scale)
    try:
        _fill(services, people)
        ours, bare = [], []
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            with services.database.read() as connection:
                found = measure_trials(connection, now=services.clock.now())
            ours.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            with services.database.read() as connection:
                connection.execute(sa.text(_FLOOR)).all()
            bare.append(time.perf_counter() - begun)
        kind = "SQLite" if services.database.is_sqlite else "PostgreSQL"
    finally:
        services.close()
    entered = sum(sum(map(sum, trial.trial.enrolled.values())) for trial in found.values())
    if entered != people:
        raise AssertionError(f"{entered} of {people} people are counted, to {to_iso(services.clock.now())}")
    return Figure(
        "measurement",
        f"a day's figures of {_EXPERIMENTS} measures over {people:,} enrolled people and {people * 3 // 10:,} "
        f"outcomes, {kind}, best of {_ROUNDS}",
        min(ours),
        "s",
        min(bare),
        at_most=3,
        note="floor: the bare join and group by; ours reads through merges, refunds, windows and pauses, and judges",
    )


def _fill(services: Services, people: int) -> None:
    numbers = _NUMBERS["sqlite" if services.database.is_sqlite else "postgresql"]
    values = {
        "people": people,
        "experiments": _EXPERIMENTS,
        "day": DAY,
        "start": services.clock.now() - 200 * DAY,
    }
    with services.database.write() as connection:
        # The shipped playbook's own measures have nobody in them.
        connection.execute(sa.text("DELETE FROM experiments"))
        for statement in _FILL:
            text = sa.text(statement.format(numbers=numbers))
            connection.execute(text, {name: values[name] for name in values if f":{name}" in text.text})
    if not services.database.is_sqlite:
        with services.database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
