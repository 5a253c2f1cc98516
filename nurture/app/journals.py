"""The delivery journals of this machine, as operators meet them: after a restore, and at the doctor's."""

from collections.abc import Iterator

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.domain.counts import Counts
from nurture.domain.errors import SettingsError
from nurture.flow import law, restore
from nurture.flow.delivery import Delivery
from nurture.flow.evidence import outcome_of
from nurture.mail import journal_file
from nurture.mail.journal import require_folder
from nurture.store import journals

#: Journals the doctor compares with the ledger, the newest ones, and mails of them in one statement.
_COMPARED = 50
_BATCH = 1000


def fold_in(services: Services) -> Counts:
    """Tell the database all that the journals of this machine know; repeating it changes nothing."""
    folder = services.settings.journal_folder
    delivery = Delivery(
        clock=services.clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=services.settings.suppression_secret,
        base_url=services.settings.public_url,
        worker="operator",
    )
    return restore.fold(services.database, delivery, folder, journal_file.names(folder))


def unread(services: Services) -> list[str]:
    """Return the senders whose journals nobody has read since they last sent, and that are not on this machine."""
    here = set(journal_file.names(services.settings.journal_folder))
    with services.database.read() as connection:
        return [name for name in journals.unread(connection) if name not in here]


def go_on(connection: sa.Connection, services: Services, *, actor: str) -> None:
    """Take the database as it is for the one to go on with, and let the lanes run."""
    restore.agree(connection)
    law.resume_after_restore(connection, actor=actor, now=services.clock.now())


def faults(services: Services) -> Iterator[str]:
    """Yield what is wrong with the journals, and where they and the ledger do not say the same."""
    folder = services.settings.journal_folder
    if folder.exists():
        try:
            require_folder(folder)
        except SettingsError as error:
            yield str(error)
            return
    with services.database.read() as connection:
        identity = journals.known_id(connection)
        if journals.is_stopped(connection):
            yield "all lanes stand still after a restore; see docs/delivery.md, then nurture resume all --after-restore"
    newest = sorted(journal_file.names(folder), key=lambda name: -_changed(services, name))[:_COMPARED]
    for name in newest:
        for part in journal_file.parts(folder, name):
            told = journal_file.read([part])
            if told.database == identity:
                yield from _against_the_ledger(services, told)
            if told.broken:
                yield f"{part}: {told.broken} lines cannot be read"


def _changed(services: Services, name: str) -> float:
    return max(
        (path.stat().st_mtime for path in journal_file.parts(services.settings.journal_folder, name)),
        default=0.0,
    )


def _against_the_ledger(services: Services, told: journal_file.Read) -> Iterator[str]:
    """Yield mails that a server took and the ledger does not count as sent, unless they are being settled."""
    accepted = [
        entry for entry in told.entries.values() if (end := outcome_of(entry)) and end.outcome == "sent"
    ]
    for place in range(0, len(accepted), _BATCH):
        some = accepted[place : place + _BATCH]
        with services.database.read() as connection:
            rows = journals.by_id(connection, [entry.passed.message_id for entry in some])
            left = journals.find_left(connection, [entry.passed.mark for entry in some])
        for entry in some:
            row = rows.get(entry.passed.message_id)
            if row is None or row.decided_at != entry.passed.decided_at:
                status = "" if entry.passed.mark in left else "unknown"
            else:
                is_told = row.status in ("sent", "failed") or row.lease_owner == told.name
                status = "" if is_told else row.status
            if status:
                yield (
                    f"message {entry.passed.message_id} is {status}, and {told.name} was told that attempt "
                    f"{entry.passed.attempt} was taken"
                )
