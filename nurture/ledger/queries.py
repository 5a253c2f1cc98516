"""Statements on messages that several rooms share; none of them reads a clock."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, relation
from nurture.database.day_counts import COUNTED, count_mails
from nurture.database.schema import contacts, messages, runs
from nurture.domain.instant import Instant


def find_run_key(connection: sa.Connection, message_id: int) -> Row | None:
    """Return `contact_id`, `measure` and `run_key` of a message, None when there is no such message."""
    columns = (messages.c.contact_id, messages.c.measure, messages.c.run_key)
    row = connection.execute(sa.select(*columns).where(messages.c.id == message_id)).one_or_none()
    return dict(row._mapping) if row is not None else None  # noqa: SLF001 - its public name


def run_row(message: Any) -> Row:
    """Return the columns that name a message's run, of a row with `contact_id`, `measure` and `run_key`."""
    return {"contact_id": message.contact_id, "measure": message.measure, "run_key": message.run_key}


def lock_waiting_contacts(connection: sa.Connection, rows: Sequence[Row]) -> list[int]:
    """Lock, in id order, the living contacts whose run waits for one of these messages; return their ids.

    rows: `contact_id`, `measure`, `run_key` of messages; a message's run has the message's contact.
    """
    if not rows:
        return []
    given = relation(connection, [messages.c.contact_id, messages.c.measure, messages.c.run_key], rows)
    owner = contacts.alias("owner")
    waits = (
        sa.select(sa.func.coalesce(owner.c.survivor, owner.c.id))
        .select_from(given)
        .join(owner, owner.c.id == given.c.contact_id)
        .join(
            runs,
            sa.and_(
                runs.c.contact_id == given.c.contact_id,
                runs.c.measure == given.c.measure,
                runs.c.key == given.c.run_key,
                runs.c.mailing,
                runs.c.status == sa.literal_column("'active'"),
            ),
        )
    )
    statement = sa.select(contacts.c.id).where(contacts.c.id.in_(waits))
    statement = statement.order_by(contacts.c.id).with_for_update()
    return list(connection.execute(statement).scalars())


def lock_statuses(connection: sa.Connection, message_ids: Sequence[int]) -> dict[int, str]:
    """Lock these messages and return id -> status."""
    statement = sa.select(messages.c.id, messages.c.status).where(
        any_of(messages.c.id, message_ids, connection)
    )
    rows = connection.execute(statement.order_by(messages.c.id).with_for_update())
    return {row.id: row.status for row in rows}


def settle_message(
    connection: sa.Connection, message_id: int, *, status: str, reason: str, now: Instant
) -> bool:
    """Set a message to `sent` or `failed` where its status allows it; return whether it was changed.

    `sent` settles only a message in doubt. `failed` settles a message in doubt, one that counts as sent, and
    one on the wire: a bounce may arrive before the worker that sent the mail has written its outcome.
    """
    allowed = ("in_doubt",) if status == "sent" else ("in_doubt", "sent", "on_wire")
    before = lock_statuses(connection, [message_id])
    statement = (
        sa.update(messages)
        .where(messages.c.id == message_id, messages.c.status.in_(allowed))
        .values(status=status, reason=reason, settled_at=sa.func.coalesce(messages.c.settled_at, now))
        .returning(*COUNTED)
    )
    written = connection.execute(statement).all()
    count_mails(connection, written, before=before, now=now)
    return bool(written)
