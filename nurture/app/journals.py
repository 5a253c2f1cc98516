"""The delivery journals of this machine: read them after a restore, and compare them with the ledger."""

from collections.abc import Iterator

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent import record
from nurture.delivery.journal import file_format, queries, restore_detection
from nurture.delivery.journal.evidence import outcome_from_entry
from nurture.delivery.journal.writer import require_folder
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.errors import SettingsError

#: How many of the newest journals the doctor compares with the ledger, and mails in one statement.
_COMPARED = 50
_BATCH = 1000


def recover_from_journals(services: Services) -> Counts:
    """Write the outcomes in this machine's journals to the database; repeating it changes nothing."""
    folder = services.settings.journal_folder
    delivery = Delivery(
        clock=services.clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=services.settings.suppression_secret,
        base_url=services.settings.public_url,
        worker="operator",
    )
    return restore_detection.write_journals(
        services.database, delivery, folder, file_format.list_senders(folder)
    )


def find_unread(services: Services) -> list[str]:
    """Return the workers with unread journals that are on other machines."""
    here = set(file_format.list_senders(services.settings.journal_folder))
    with services.database.read() as connection:
        return [name for name in queries.list_unread_senders(connection) if name not in here]


def accept_restored_database(connection: sa.Connection, services: Services, *, actor: str) -> None:
    """Accept a restored database as the current one, and end the stop of all lanes."""
    restore_detection.accept_database(connection)
    record.resume_after_restore(connection, actor=actor, now=services.clock.now())


def find_faults(services: Services) -> Iterator[str]:
    """Yield a line for each fault of the journals and each mail on which they and the ledger disagree."""
    folder = services.settings.journal_folder
    if folder.exists():
        try:
            require_folder(folder)
        except SettingsError as error:
            yield str(error)
            return
    with services.database.read() as connection:
        identity = queries.find_database_id(connection)
        if queries.is_stopped_after_restore(connection):
            yield "all lanes are stopped after a restore; see docs/delivery.md, then nurture resume all --after-restore"
    newest = sorted(file_format.list_senders(folder), key=lambda name: -_modified_at(services, name))[
        :_COMPARED
    ]
    for name in newest:
        for part in file_format.list_parts(folder, name):
            content = file_format.read_parts([part])
            if content.database == identity:
                yield from _compare_with_ledger(services, content)
            if content.broken:
                yield f"{part}: {content.broken} lines cannot be read"


def _modified_at(services: Services, name: str) -> float:
    return max(
        (path.stat().st_mtime for path in file_format.list_parts(services.settings.journal_folder, name)),
        default=0.0,
    )


def _compare_with_ledger(services: Services, content: file_format.JournalContent) -> Iterator[str]:
    """Yield mails that a server accepted and the ledger does not count as sent, unless a worker still settles them."""
    accepted = [
        entry
        for entry in content.entries.values()
        if (end := outcome_from_entry(entry)) and end.outcome == "sent"
    ]
    for place in range(0, len(accepted), _BATCH):
        some = accepted[place : place + _BATCH]
        with services.database.read() as connection:
            rows = queries.load_messages(connection, [entry.mail.message_id for entry in some])
            left = queries.find_left_before(connection, [entry.mail.mark for entry in some])
        for entry in some:
            row = rows.get(entry.mail.message_id)
            if row is None or row.decided_at != entry.mail.decided_at:
                status = "" if entry.mail.mark in left else "unknown"
            else:
                is_told = row.status in ("sent", "failed") or row.lease_owner == content.name
                status = "" if is_told else row.status
            if status:
                yield (
                    f"message {entry.mail.message_id} is {status}, but by the journal of {content.name} the server "
                    f"accepted attempt {entry.mail.attempt}"
                )
