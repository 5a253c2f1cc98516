"""Describe conflicts of identity as they are shown: on the command line, in the console, by doctor."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.conflict_queries import EVENT, SHARED_PHONE, list_conflicts
from nurture.database.engine import decode
from nurture.domain.instant import to_iso

#: Kind of a conflict -> what it says of its contacts.
WORDS = {
    "user_id": "an event gives the user ids of both",
    "email": "both have the same address",
    "phone": "both have the same telephone number",
    "anonymous_id": "both were seen in the same browser",
    SHARED_PHONE: "the event names only a telephone number that two people have",
    EVENT: "a browser key told an event that only a server may tell",
}


def describe_conflict(row: Any) -> dict[str, Any]:
    """Return a conflict as it is shown."""
    evidence = decode(row.evidence)
    return {
        "id": row.id,
        "state": row.state,
        "kind": row.kind,
        "contact": row.contact_id,
        "other": row.other_id,
        "what": WORDS.get(row.kind, row.kind),
        "event": evidence.get("event") or evidence.get("name", ""),
        "source": evidence.get("source", ""),
        "at": to_iso(row.at),
    }


def describe_open_conflicts(
    connection: sa.Connection, contact_ids: Sequence[int] | None = None, *, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the open conflicts of these contacts (first) with others, or (None) of everybody, the newest first."""
    rows = list_conflicts(connection, contact_ids=contact_ids, limit=limit)
    shown = [describe_conflict(row) for row in rows]
    for conflict in shown:
        if contact_ids is not None and conflict["other"] in contact_ids:
            conflict["contact"], conflict["other"] = conflict["other"], conflict["contact"]
    return shown
