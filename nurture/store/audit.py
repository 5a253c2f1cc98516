"""The audit log: every operator's action, each row chained to the one before by a hash. Ids only, no addresses."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from nurture.domain.instant import Instant
from nurture.store.database import encode
from nurture.store.tables import audit


def record(
    connection: sa.Connection, *, at: Instant, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    """Append one row. Concurrent writers are put in order by a lock on the table (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
    last = connection.execute(
        sa.select(audit.c.chain).order_by(audit.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    text = encode(dict(detail))
    connection.execute(
        sa.insert(audit).values(
            at=at, actor=actor, action=action, detail=text, chain=_link(last or "", at, actor, action, text)
        )
    )


def _link(before: str, at: Instant, actor: str, action: str, detail: str) -> str:
    return sha256("\x1f".join((before, str(at), actor, action, detail)).encode()).hexdigest()


def broken_link(connection: sa.Connection) -> int | None:
    """Return the id of the first row whose hash does not follow from the one before, None when all do."""
    before = ""
    for row in connection.execute(sa.select(audit).order_by(audit.c.id)):
        if row.chain != _link(before, row.at, row.actor, row.action, row.detail):
            return int(row.id)
        before = row.chain
    return None


def newest(connection: sa.Connection, *, before: int | None = None, limit: int = 100) -> list[sa.Row[Any]]:
    """Return the newest rows, newest first; before: only those with a smaller id."""
    rows = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(rows if before is None else rows.where(audit.c.id < before)))
