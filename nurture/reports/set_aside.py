"""Read which measures are set aside, and for whom: their rules failed for a contact."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import Instant, to_iso

_table = t.set_aside_measures


def find_set_aside(connection: sa.Connection, names: MeasureNames) -> Iterator[str]:
    """Yield a line for each measure: for how many contacts, and the newest one with its reason."""
    newest = sa.func.max(_table.c.at)
    statement = (
        sa.select(_table.c.measure, sa.func.count(), newest)
        .group_by(_table.c.measure)
        .order_by(newest.desc())
    )
    for measure, people, at in connection.execute(statement).all():
        mine = sa.select(_table).where(_table.c.measure == measure, _table.c.at == at)
        row = connection.execute(mine.order_by(_table.c.contact_id).limit(1)).one()
        path = names.shown(measure)
        yield (
            f"{path} for {people} contact{'s' if people > 1 else ''}: at {to_iso(at)} its rules failed for "
            f"contact:{row.contact_id} ({row.event or 'alarm'}): {row.reason}; correct the measure and publish it, "
            "then it is tried again"
        )


def load_set_aside(
    connection: sa.Connection, ids: Sequence[int], measure: str, *, now: Instant
) -> sa.Row[Any] | None:
    """Return the row of the measure for one of these contacts (a person's family), or None."""
    statement = sa.select(_table).where(
        _table.c.contact_id.in_(ids), _table.c.measure == measure, _table.c.at <= now
    )
    return connection.execute(statement.order_by(_table.c.at.desc()).limit(1)).one_or_none()
