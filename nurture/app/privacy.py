"""Export everything stored about a person, and erase a person.

Both take WHO as every command does, or `contact:N` from a page whose token names the contact. An erasure can be
previewed, takes effect before it returns, and is continued by the scheduler when it is interrupted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.personal_export import collect_personal_data
from nurture.app.services import Services
from nurture.contacts import inbox_queries
from nurture.contacts.identity_queries import load_index_by_contacts
from nurture.contacts.locking import run_without_lost_race
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.database.bulk import any_of
from nurture.domain.instant import DAY, HOUR, to_iso
from nurture.domain.retention import compute_retention
from nurture.journey import erasure, personal_data, retention
from nurture.transports.maildir import remove_mails
from nurture.transports.registry import open_lanes

#: Data may outlive its retention by this long before it is a finding, because deletion runs in batches.
_LATE: Final = 7 * DAY

#: Copies that no command can erase; every erasure lists them.
ELSEWHERE = (
    "backups and replicas of the database until they expire",
    "mail that has left, in the person's own mailbox and at the mail provider",
    "FILE.rejected beside imported files, and files written by `nurture export`",
    "the applications that hand events in: stop them first, or they make a new contact",
)


def export_contact(services: Services, who: str, *, actor: str) -> dict[str, Any]:
    """Return everything stored about a person as one document, and write the access to the audit log.

    Raises NotFoundError.
    """
    now, key = services.clock.now(), services.settings.suppression_secret
    with services.database.read() as connection:
        person = resolve_contact(connection, who)
        document = collect_personal_data(connection, person, suppression_key=key, now=now)
    services.database.run(
        lambda c: record(c, at=now, actor=actor, action="contact.export", detail={"contact": person})
    )
    return document


def preview_erasure(services: Services, who: str) -> dict[str, Any]:
    """Return what `erase_contact` would remove at this instant; changes nothing. Raises NotFoundError."""
    with services.database.read() as connection:
        person = resolve_contact(connection, who, erased=True)
        members = personal_data.members_of(connection, person)
        names = sorted(load_index_by_contacts(connection, members).names.get(person, ()))
        mine = any_of(t.messages.c.contact_id, members, connection)
        unsent = t.messages.c.status.in_(("waiting", "ready"))
        return {
            "contact": person,
            "contacts": len(members),
            "erased_at": _erased_at(connection, person),
            "names": [f"{name.kind}:{name.value}" for name in names],
            "events": _count(connection, t.events, any_of(t.events.c.contact_id, members, connection)),
            "pending": len(inbox_queries.load_rows_of(connection, names)) if names else 0,
            "mails": _count(connection, t.messages, mine),
            "mails_cancelled": _count(connection, t.messages, sa.and_(mine, unsent)),
            "elsewhere": [*ELSEWHERE, *_rejected_files(connection)],
        }


def erase_contact(services: Services, who: str, *, actor: str) -> dict[str, Any]:
    """Erase a person: no further mail is sent after this returns, and all personal data is removed.

    Safe to repeat. `finished` is False while a mail is being sent; the scheduler then finishes the erasure within a
    minute. actor: the requester, `self` for the person. Raises NotFoundError.
    """
    database, now = services.database, services.clock.now()
    key = services.settings.suppression_secret
    with database.read() as connection:
        contact = resolve_contact(connection, who, erased=True)
    erasure.join_pending(database, contact, now=now, playbooks=services.playbooks)
    done = run_without_lost_race(
        database, lambda c: erasure.stop_mail(c, contact, now=now, actor=actor, suppression_key=key)
    )
    files = 0
    while True:
        files += _remove_mails(services, done.contact)
        if not database.run(lambda c: erasure.delete_remaining_rows(c, done.contact)):
            break
    finished = database.run(lambda c: erasure.mark_finished(c, done.contact, now=services.clock.now()))
    database.shed()
    with database.read() as connection:
        elsewhere = [*ELSEWHERE, *_rejected_files(connection)]
        erased_at = _erased_at(connection, done.contact)
    return {
        "contact": done.contact,
        "contacts": len(done.members),
        "erased_at": erased_at,
        "already": done.again,
        "names": done.names,
        "pending": done.pending,
        "mails_cancelled": done.cancelled,
        "runs_cancelled": done.runs,
        "suppressed": done.suppressed,
        "mailbox_files": files,
        "on_wire": done.on_wire,
        "finished": finished,
        "elsewhere": elsewhere,
    }


def resume_erasures(services: Services, connection: sa.Connection, *, limit: int = 20) -> int:
    """Continue at most `limit` unfinished erasures in the caller's transaction; returns how many are finished now."""
    count = 0
    for person in erasure.load_unfinished(connection, limit=limit):
        _remove_mails(services, person, connection)
        if not erasure.delete_remaining_rows(connection, person):
            count += erasure.mark_finished(connection, person, now=services.clock.now())
    return count


def find_overdue_data(services: Services) -> Iterator[str]:
    """Yield a line for each kind of data that is kept more than a week longer than NURTURE_RETENTION says."""
    keep, now = compute_retention(services.settings.retention), services.clock.now()
    with services.database.read() as connection:
        lagging = retention.lags(connection, now=now, keep=keep)
    for name, late in lagging.items():
        if late > _LATE:
            days = late // DAY
            yield f"{name}: kept {days} days longer than NURTURE_RETENTION says; is a scheduler running?"


def find_unfinished_erasures(services: Services) -> Iterator[str]:
    """Yield a line for each erasure that is unfinished after an hour."""
    with services.database.read() as connection:
        late = erasure.load_unfinished(connection, before=services.clock.now() - HOUR, limit=100)
    for person in late:
        yield f"contact:{person} is not completely erased after an hour; is a scheduler running?"


def _remove_mails(services: Services, person: int, connection: sa.Connection | None = None) -> int:
    """Delete the person's mails from the local mailboxes of this machine."""
    folders = [
        Path(url.partition(":")[2].removeprefix("//"))
        for url in open_lanes(services.settings.mail_url).values()
        if url.startswith("maildir:")
    ]
    if not folders:
        return 0
    if connection is not None:
        ids = erasure.message_ids(connection, person)
    else:
        with services.database.read() as reading:
            ids = erasure.message_ids(reading, person)
    return sum(remove_mails(folder, set(ids)) for folder in folders)


def _erased_at(connection: sa.Connection, person: int) -> str | None:
    at = connection.scalar(sa.select(t.contacts.c.erased_at).where(t.contacts.c.id == person))
    return None if at is None else to_iso(at)


def _count(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table).where(where)) or 0)


def _rejected_files(connection: sa.Connection) -> list[str]:
    """Return a line for each file of rejected rows that an import wrote; erasure cannot reach these files."""
    statement = sa.select(t.imports.c.name, t.imports.c.rejected).where(t.imports.c.rejected > 0)
    return [f"{row.rejected} rejected rows in {row.name}.rejected" for row in connection.execute(statement)]
