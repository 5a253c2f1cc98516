"""Write and check the audit log: operators' actions, each row chained to the row before it by a hash.

The log holds ids only, no addresses.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import encode
from nurture.database.schema import audit, meta
from nurture.domain.instant import Instant

#: The key in `meta` of the last row's hash: the log alone cannot show that its newest rows were removed.
_HEAD = "audit_head"


def record(
    connection: sa.Connection, *, at: Instant, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    """Append one row. On PostgreSQL a table lock puts concurrent writers in order."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
    last = connection.execute(
        sa.select(audit.c.chain).order_by(audit.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    text = encode(dict(detail))
    chain = _chain_hash(last or "", at, actor, action, text)
    connection.execute(sa.insert(audit).values(at=at, actor=actor, action=action, detail=text, chain=chain))
    bulk.insert(connection, meta, [{"key": _HEAD, "value": chain}], conflict=["key"], update=["value"])


def _chain_hash(before: str, at: Instant, actor: str, action: str, detail: str) -> str:
    return sha256("\x1f".join((before, str(at), actor, action, detail)).encode()).hexdigest()


def find_tampering(connection: sa.Connection) -> str | None:
    """Return a sentence about the first broken link of the log, or None when the chain is whole.

    The hash of a row that was changed or inserted does not follow from the row before it; neither does the hash after
    a removed row. `meta` holds the last hash, so the removal of the newest rows is found too.
    """
    before, number = "", 0
    for row in connection.execute(sa.select(audit).order_by(audit.c.id)):
        if row.chain != _chain_hash(before, row.at, row.actor, row.action, row.detail):
            return f"audit row {row.id} does not follow from the one before it: one of them was changed or removed"
        before, number = row.chain, row.id
    head = connection.scalar(sa.select(meta.c.value).where(meta.c.key == _HEAD))
    if head is not None and head != before:
        return f"audit rows after row {number} were removed"
    return None


def load_newest(
    connection: sa.Connection, *, before: int | None = None, limit: int = 100
) -> list[sa.Row[Any]]:
    """Return rows, newest first; before: only rows with a smaller id."""
    rows = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(rows if before is None else rows.where(audit.c.id < before)))
