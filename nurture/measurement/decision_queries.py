"""Write and read decisions: one row for each verdict of a day, with what followed from it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import decode
from nurture.database.schema import decisions, job_slots
from nurture.domain.instant import Instant
from nurture.playbook.epoch_queries import Epoch


def take_slot(connection: sa.Connection, job: str, slot: Instant, *, now: Instant) -> bool:
    """Return whether this process is the first to take the slot; the row is in the caller's transaction."""
    row = {"job": job, "slot": slot, "at": now}
    return bool(bulk.insert(connection, job_slots, [row], conflict=["job", "slot"], returning=["slot"]))


def has_slot(connection: sa.Connection, job: str, slot: Instant) -> bool:
    """Tell whether the slot is taken."""
    wanted = job_slots.c.job == job, job_slots.c.slot == slot
    return connection.execute(sa.select(job_slots.c.slot).where(*wanted)).first() is not None


def add_decisions(connection: sa.Connection, rows: Sequence[bulk.Row]) -> None:
    """Insert the decisions of one measure and day."""
    bulk.insert(connection, decisions, rows, conflict=["experiment", "day", "verdict"])


def load_actions(connection: sa.Connection, epochs: Iterable[Epoch]) -> set[str]:
    """Return what followed from verdicts in these epochs so far: each happens once in a trial."""
    wanted = decisions.c.experiment.in_([epoch.id for epoch in epochs]), decisions.c.action != ""
    return set(connection.execute(sa.select(decisions.c.action).where(*wanted)).scalars())


def load_decisions(connection: sa.Connection, experiments: Sequence[int]) -> list[dict[str, Any]]:
    """Return the decisions of these epochs, the oldest first, with their figures."""
    statement = (
        sa.select(decisions)
        .where(decisions.c.experiment.in_(experiments))
        .order_by(decisions.c.day, decisions.c.experiment, decisions.c.verdict)
    )
    return [
        {**dict(row), "figures": decode(row["figures"])} for row in connection.execute(statement).mappings()
    ]
