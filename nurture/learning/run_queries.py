"""Write and read what the models of published values gave, week by week."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import decode, encode
from nurture.database.schema import model_runs
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class ModelRun:
    """The result of a model in a week."""

    name: str
    week: Instant
    at: Instant
    model: str
    # published | kept | needs | leak
    result: str
    reason: str
    version: int | None
    figures: dict[str, Any]


def add_run(connection: sa.Connection, run: ModelRun) -> None:
    """Insert the run of a week, unless there is one."""
    row = {**{name: getattr(run, name) for name in ModelRun.__slots__}, "figures": encode(run.figures)}
    bulk.insert(connection, model_runs, [row], conflict=["name", "week"])


def names_of_week(connection: sa.Connection, week: Instant) -> set[str]:
    """Return the values whose models ran in a week."""
    return set(connection.execute(sa.select(model_runs.c.name).where(model_runs.c.week == week)).scalars())


def newest_runs(connection: sa.Connection) -> dict[str, ModelRun]:
    """Return the newest run of each value that has a model."""
    newest = (
        sa.select(model_runs.c.name, sa.func.max(model_runs.c.week).label("week"))
        .group_by(model_runs.c.name)
        .subquery()
    )
    statement = sa.select(model_runs).join(
        newest, sa.and_(newest.c.name == model_runs.c.name, newest.c.week == model_runs.c.week)
    )
    return {
        row.name: ModelRun(
            row.name, row.week, row.at, row.model, row.result, row.reason, row.version, decode(row.figures)
        )
        for row in connection.execute(statement)
    }
