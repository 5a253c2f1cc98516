"""All waiting mails of contacts, due or not, as a forecast needs them: nothing is locked and nothing written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.delivery import claim_queries
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.load_guard_input import (
    ContactFamily,
    load_families,
    load_ledger,
    load_runs,
)
from nurture.domain.contact import Run
from nurture.domain.instant import FOREVER


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """Living contacts with all their waiting mails and the runs of these, read without a lock."""

    families: Mapping[int, ContactFamily]
    # Living contact -> rows of waiting messages.
    rows: Mapping[int, Sequence[Any]]
    # (contact, measure, key) -> run.
    runs: Mapping[tuple[int, str, str], Run]


def load_waiting_mail(connection: sa.Connection, living_ids: Sequence[int], scope: ChunkScope) -> WaitingMail:
    """Return these contacts with every mail of theirs that waits, due or not: for forecasts, which write nothing."""
    families = load_families(connection, living_ids, scope)
    family_of = {member: family for family in families.values() for member in family.member_ids}
    load_ledger(connection, family_of, scope)
    waiting = [
        number
        for family in families.values()
        for number, entry in family.ledger.items()
        if entry.status == "waiting"
    ]
    rows = claim_queries.load_due_messages(connection, waiting, now=FOREVER) if waiting else []
    grouped: dict[int, list[Any]] = {}
    for row in rows:
        grouped.setdefault(family_of[row.contact_id].contact.id, []).append(row)
    return WaitingMail(families, grouped, load_runs(connection, rows) if rows else {})
