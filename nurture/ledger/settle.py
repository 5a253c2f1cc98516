"""Settling a message by evidence that came from outside the delivery that sent it."""

from typing import Literal

import sqlalchemy as sa

from nurture.contacts.queries import wake_contacts
from nurture.domain.instant import Instant
from nurture.ledger.queries import find_run_key, lock_waiting_contacts, settle_message


def settle_by_evidence(
    connection: sa.Connection,
    *,
    message_id: int,
    status: Literal["sent", "failed"],
    reason: str = "",
    now: Instant,
) -> bool:
    """Return whether a report (delivered, bounced, a journal read late) changed the message's status.

    A message in doubt becomes sent or failed, and its waiting run goes on; a hard bounce turns sent into failed.
    reason: for `failed`, one of REASONS. The caller suppresses the address. Locks the contact before the message.
    """
    message = find_run_key(connection, message_id)
    if message is None:
        return False
    waiting = lock_waiting_contacts(connection, [message])
    is_changed = settle_message(connection, message_id, status=status, reason=reason, now=now)
    if is_changed and waiting:
        wake_contacts(connection, waiting, at=now)
    return is_changed
