"""Dialogues and the mails to our own people, as rows."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of
from nurture.database.schema import contacts, dialogues, events, feedback, messages, notices
from nurture.domain.instant import DAY, MINUTE, Duration, Instant

#: How long a worker may speak about one notice.
NOTICE_LEASE: Duration = 12 * MINUTE
#: A dialogue that nobody closed is not joined any more after this; the next answer opens another.
JOINS_WITHIN: Duration = 30 * DAY


# ---- dialogues -------------------------------------------------------------------------------------------


def about(connection: sa.Connection, provider: str, event_id: str) -> Any:
    """Return whom and which message a stored report is about."""
    statement = sa.select(feedback.c.contact_id, feedback.c.message_id).where(
        feedback.c.provider == provider, feedback.c.event_id == event_id
    )
    return connection.execute(statement).first()


def lock_living(connection: sa.Connection, contact_id: int) -> int:
    """Lock a contact, so that two answers of one person do not open two dialogues; returns who it is now."""
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    person = connection.scalar(sa.select(sa.func.coalesce(survivor, contact_id)))
    connection.execute(sa.select(contacts.c.id).where(contacts.c.id == person).with_for_update())
    return int(person or contact_id)


def open_of(connection: sa.Connection, contact_id: int, *, now: Instant) -> sa.Row[Any] | None:
    """Return the person's dialogue that waits for an answer."""
    statement = (
        sa.select(dialogues)
        .where(
            dialogues.c.contact_id == contact_id,
            dialogues.c.closed_at.is_(None),
            dialogues.c.opened_at > now - JOINS_WITHIN,
        )
        .order_by(dialogues.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).first()


def open_new(connection: sa.Connection, row: Row) -> int:
    """Open a dialogue; returns its number."""
    statement = sa.insert(dialogues).values(row).returning(dialogues.c.id)
    return int(connection.execute(statement).scalar_one())


def get(connection: sa.Connection, number: int, *, lock: bool = False) -> sa.Row[Any] | None:
    """Return a dialogue."""
    statement = sa.select(dialogues).where(dialogues.c.id == number)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def change(connection: sa.Connection, number: int, **values: Any) -> None:
    """Set columns of a dialogue."""
    connection.execute(sa.update(dialogues).where(dialogues.c.id == number).values(values))


def overdue(connection: sa.Connection, *, now: Instant, limit: int) -> list[sa.Row[Any]]:
    """Return dialogues whose time is over and of which nobody was told, locked against others who look."""
    statement = (
        sa.select(dialogues)
        .where(
            dialogues.c.closed_at.is_(None),
            dialogues.c.answered_at.is_(None),
            dialogues.c.escalated_at.is_(None),
            dialogues.c.due_at <= now,
        )
        .order_by(dialogues.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(statement))


def waiting(connection: sa.Connection, *, limit: int) -> list[sa.Row[Any]]:
    """Return dialogues that are open, the longest due first."""
    statement = (
        sa.select(dialogues).where(dialogues.c.closed_at.is_(None)).order_by(dialogues.c.due_at).limit(limit)
    )
    return list(connection.execute(statement))


def closings(connection: sa.Connection, contact_ids: Sequence[int]) -> list[sa.Row[Any]]:
    """Return instant and body of the events that closed a case of these people."""
    statement = sa.select(events.c.contact_id, events.c.occurred_at, events.c.body).where(
        any_of(events.c.contact_id, contact_ids, connection), events.c.name == "Support Case Closed"
    )
    return list(connection.execute(statement))


def lasting(connection: sa.Connection, *, since: Instant) -> list[sa.Row[Any]]:
    """Return the times of the dialogues opened since then, for the report."""
    statement = sa.select(
        dialogues.c.opened_at,
        dialogues.c.due_at,
        dialogues.c.answered_at,
        dialogues.c.escalated_at,
        dialogues.c.closed_at,
    ).where(dialogues.c.opened_at > since)
    return list(connection.execute(statement))


# ---- what our people are told ----------------------------------------------------------------------------


def who(connection: sa.Connection, contact_id: int) -> sa.Row[Any] | None:
    """Return what stands about a person in `contacts`."""
    return connection.execute(sa.select(contacts).where(contacts.c.id == contact_id)).first()


def mail_of(connection: sa.Connection, message_id: int | None) -> Any:
    """Return which measure's mail it was, and when it left."""
    statement = sa.select(messages.c.measure, messages.c.mail, messages.c.sent_at).where(
        messages.c.id == message_id
    )
    return connection.execute(statement).first() if message_id is not None else None


def latest(connection: sa.Connection, contact_id: int, *, limit: int = 5) -> list[sa.Row[Any]]:
    """Return the person's newest events."""
    statement = (
        sa.select(events.c.name, events.c.occurred_at)
        .where(events.c.contact_id == contact_id)
        .order_by(events.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(statement))


# ---- notices ---------------------------------------------------------------------------------------------


def add_notice(connection: sa.Connection, row: Row) -> None:
    """Put a mail to our own people into the queue."""
    connection.execute(sa.insert(notices).values(row))


def claim_notices(
    connection: sa.Connection, *, now: Instant, lease: Instant, limit: int
) -> list[sa.Row[Any]]:
    """Lease due notices to the caller and return them, each with its number of attempts, this one included."""
    found = (
        sa.select(notices.c.id)
        .where(notices.c.sent_at.is_(None), notices.c.due_at <= now, notices.c.lease_until < lease)
        .order_by(notices.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(found).scalars())
    if not ids:
        return []
    statement = (
        sa.update(notices)
        .where(any_of(notices.c.id, ids, connection))
        .values(lease_until=lease + NOTICE_LEASE, attempts=notices.c.attempts + 1)
        .returning(notices)
    )
    return sorted(connection.execute(statement), key=lambda row: row.id)


def unsent_since(
    connection: sa.Connection, *, before: Instant, attempts: int = 6, limit: int = 100
) -> list[sa.Row[Any]]:
    """Return notices that nobody took up since an instant, or that were refused so often."""
    statement = (
        sa.select(notices.c.id, notices.c.dialogue_id, notices.c.attempts, notices.c.reply)
        .where(notices.c.sent_at.is_(None), sa.or_(notices.c.due_at < before, notices.c.attempts >= attempts))
        .order_by(notices.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement))


def settle_notice(connection: sa.Connection, number: int, **values: Any) -> None:
    """Note what became of a notice, and give it free."""
    statement = sa.update(notices).where(notices.c.id == number, notices.c.sent_at.is_(None))
    connection.execute(statement.values(lease_until=0, **values))
