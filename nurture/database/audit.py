"""The audit log: every operator's action, each row chained to the one before by a hash. Ids only, no addresses."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import encode
from nurture.database.schema import audit, meta
from nurture.domain.instant import Instant

#: Where the end of the chain is kept: the log itself cannot tell that its newest rows are gone.
_HEAD = "audit_head"


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
    link = _link(last or "", at, actor, action, text)
    connection.execute(sa.insert(audit).values(at=at, actor=actor, action=action, detail=text, chain=link))
    bulk.insert(connection, meta, [{"key": _HEAD, "value": link}], conflict=["key"], update=["value"])


def _link(before: str, at: Instant, actor: str, action: str, detail: str) -> str:
    return sha256("\x1f".join((before, str(at), actor, action, detail)).encode()).hexdigest()


def tampering(connection: sa.Connection) -> str | None:
    """Return what was done to the log behind our back, None when nothing was.

    A row that was changed or put in does not follow from the one before it, nor does the one after a row that
    was removed; the end is kept beside the log, so that its newest rows cannot go without a trace.
    """
    before, number = "", 0
    for row in connection.execute(sa.select(audit).order_by(audit.c.id)):
        if row.chain != _link(before, row.at, row.actor, row.action, row.detail):
            return f"audit row {row.id} does not follow from the one before it: one of them was changed or removed"
        before, number = row.chain, row.id
    head = connection.scalar(sa.select(meta.c.value).where(meta.c.key == _HEAD))
    if head is not None and head != before:
        return f"audit rows after row {number} were removed"
    return None


def newest(connection: sa.Connection, *, before: int | None = None, limit: int = 100) -> list[sa.Row[Any]]:
    """Return the newest rows, newest first; before: only those with a smaller id."""
    rows = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(rows if before is None else rows.where(audit.c.id < before)))
