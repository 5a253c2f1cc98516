"""Read the sends that are under way."""

from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.instant import to_iso


def list_sends_under_way(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return the sends whose people have not all been handed to the inbox, the oldest first."""
    statement = sa.select(t.sends).where(~t.sends.c.done).order_by(t.sends.c.at)
    return [
        {
            "send": row.request,
            "measure": row.measure,
            "people": row.people,
            "at": to_iso(row.at),
            "by": row.actor,
        }
        for row in connection.execute(statement)
    ]
