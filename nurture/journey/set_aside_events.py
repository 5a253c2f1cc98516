"""Events that are not applied before people decide: what a hint may not tell, and what names only a shared telephone.

A telephone number is shared once a conflict shows that two contacts have it. An event that names nobody but the
number may be about either of them, and a mail about it would tell one person what the other one bought.
"""

import sqlalchemy as sa

from nurture.contacts.conflict_queries import EVENT, SHARED_PHONE, event_conflict, find_sharing_phone
from nurture.contacts.inbox_queries import InboxRow
from nurture.contacts.kept_events import row_document
from nurture.contacts.locking import LockedBatch
from nurture.database.bulk import Row
from nurture.domain.hints import may_hint_tell
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook


def set_aside_conflicts(
    connection: sa.Connection, taken: LockedBatch, playbook: Playbook, *, now: Instant
) -> list[Row]:
    """Take such rows out of the batch, and return them as conflicts; they are deleted with the applied rows."""
    doubtful = _find_doubtful(connection, taken)
    found: list[Row] = []
    for share in taken.shares.values():
        kinds = {
            row.id: kind for row in share.rows if (kind := _kind_of(row, share.contact, doubtful, playbook))
        }
        if kinds:
            refused = [row for row in share.rows if row.id in kinds]
            share.rows = [row for row in share.rows if row.id not in kinds]
            taken.set_aside += refused
            found += [
                event_conflict(row, share.contact, row_document(row), kind=kinds[row.id], at=now)
                for row in refused
            ]
    return found


def _kind_of(row: InboxRow, contact: int, doubtful: set[int], playbook: Playbook) -> str | None:
    """Return the kind of the conflict that the row is, None when it is applied."""
    if row.hint and not may_hint_tell(row.name, playbook):
        return EVENT
    return SHARED_PHONE if contact in doubtful and _names_only_a_phone(row) else None


def _find_doubtful(connection: sa.Connection, taken: LockedBatch) -> set[int]:
    """Return the contacts that share their number, among those that a row names by a number alone."""
    named = {share.contact for share in taken.shares.values() if any(map(_names_only_a_phone, share.rows))}
    if not named:
        return set()
    shown = {
        conflict.contact
        for _, _, conflicts in taken.conflicts
        for conflict in conflicts
        if conflict.kind == "phone"
    }
    return (named & shown) | find_sharing_phone(connection, sorted(named))


def _names_only_a_phone(row: InboxRow) -> bool:
    """Tell whether the telephone number is the strongest name that the row gives."""
    return bool(row.named) and row.named[0].kind == "phone" and row.previous_id is None
