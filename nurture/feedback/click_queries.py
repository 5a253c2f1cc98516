"""Statements about clicks (table `touches`): requests behind links of mails, stored until a day after judgement."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, update
from nurture.database.schema import contacts, messages, touches
from nurture.domain.instant import Instant

#: Clicks stored of one mail: enough to recognise a link scanner, too few to fill the disk.
CLICKS_MAX = 60


def add_click(connection: sa.Connection, row: Row) -> bool:
    """Insert a click unless the mail has CLICKS_MAX of them; tell whether it was inserted."""
    stored = sa.select(sa.func.count()).select_from(touches).where(touches.c.message_id == row["message_id"])
    columns = [touches.c[name] for name in row]
    values = sa.select(*(sa.literal(row[column.name], column.type) for column in columns))
    statement = sa.insert(touches).from_select(
        [column.name for column in columns], values.where(stored.scalar_subquery() < CLICKS_MAX)
    )
    return connection.execute(statement).rowcount > 0


def is_unjudged(connection: sa.Connection, *, before: Instant) -> bool:
    """Tell whether a click from before an instant waits to be judged; reads one index."""
    statement = sa.select(touches.c.id).where(touches.c.judged_at.is_(None), touches.c.at <= before)
    return connection.execute(statement.limit(1)).first() is not None


def lock_unjudged(connection: sa.Connection, *, before: Instant, limit: int) -> list[int]:
    """Lock the oldest unjudged clicks from before an instant; return the ids of their messages, sorted."""
    statement = (
        sa.select(touches.c.message_id)
        .where(touches.c.judged_at.is_(None), touches.c.at <= before)
        .order_by(touches.c.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return sorted(set(connection.execute(statement).scalars()))


def load_clicks(connection: sa.Connection, message_ids: Sequence[int]) -> list[sa.Row[Any]]:
    """Return every click of these messages with `sent_at` of the message, oldest first."""
    statement = (
        sa.select(touches, messages.c.sent_at)
        .join(messages, messages.c.id == touches.c.message_id)
        .where(any_of(touches.c.message_id, message_ids, connection))
        .order_by(touches.c.at, touches.c.id)
    )
    return list(connection.execute(statement))


def mark_judged(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write the judgement: rows of id, judged_at, sign."""
    update(connection, touches, rows, key=["id"], columns=["judged_at", "sign"])


def delete_judged(connection: sa.Connection, *, before: Instant, limit: int) -> int:
    """Delete clicks judged before an instant, and return how many; their reports stay in `feedback`."""
    expired = sa.select(touches.c.id).where(touches.c.judged_at < before).limit(limit)
    return connection.execute(sa.delete(touches).where(touches.c.id.in_(expired))).rowcount


def load_mail(connection: sa.Connection, message_id: int) -> Any:
    """Return measure, context and living contact of a message; None when it is unknown or the person erased."""
    statement = (
        sa.select(
            messages.c.measure,
            messages.c.context,
            sa.func.coalesce(contacts.c.survivor, contacts.c.id).label("contact"),
        )
        .join(contacts, contacts.c.id == messages.c.contact_id)
        .where(messages.c.id == message_id, contacts.c.erased_at.is_(None))
    )
    return connection.execute(statement).one_or_none()
