"""Touches as rows: GETs behind the links of mails, kept until they are judged and a day longer."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, update
from nurture.database.schema import contacts, messages, touches
from nurture.domain.instant import Instant

#: Touches kept of one mail: enough to tell a scanner, few enough that it fills nothing.
TOUCHES_MAX = 60


def add_touch(connection: sa.Connection, row: Row) -> bool:
    """Keep one touch unless the mail has enough of them; tell whether it was kept."""
    mine = sa.select(sa.func.count()).select_from(touches).where(touches.c.message_id == row["message_id"])
    columns = [touches.c[name] for name in row]
    values = sa.select(*(sa.literal(row[column.name], column.type) for column in columns))
    statement = sa.insert(touches).from_select(
        [column.name for column in columns], values.where(mine.scalar_subquery() < TOUCHES_MAX)
    )
    return connection.execute(statement).rowcount > 0


def is_unjudged(connection: sa.Connection, *, before: Instant) -> bool:
    """Tell whether a touch from before an instant waits to be judged; by index."""
    statement = sa.select(touches.c.id).where(touches.c.judged_at.is_(None), touches.c.at <= before)
    return connection.execute(statement.limit(1)).first() is not None


def take_unjudged(connection: sa.Connection, *, before: Instant, limit: int) -> list[int]:
    """Lock the oldest unjudged touches from before an instant; return the mails they are about, sorted."""
    statement = (
        sa.select(touches.c.message_id)
        .where(touches.c.judged_at.is_(None), touches.c.at <= before)
        .order_by(touches.c.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return sorted(set(connection.execute(statement).scalars()))


def touches_of(connection: sa.Connection, message_ids: Sequence[int]) -> list[sa.Row[Any]]:
    """Return every touch of these mails with `sent_at` of the mail, oldest first."""
    statement = (
        sa.select(touches, messages.c.sent_at)
        .join(messages, messages.c.id == touches.c.message_id)
        .where(any_of(touches.c.message_id, message_ids, connection))
        .order_by(touches.c.at, touches.c.id)
    )
    return list(connection.execute(statement))


def note_judged(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write down what was found: rows of id, judged_at, sign."""
    update(connection, touches, rows, key=["id"], columns=["judged_at", "sign"])


def forget_touches(connection: sa.Connection, *, before: Instant, limit: int) -> int:
    """Delete judged touches from before an instant; what they say is in `feedback`. Returns how many."""
    found = sa.select(touches.c.id).where(touches.c.judged_at < before).limit(limit)
    return connection.execute(sa.delete(touches).where(touches.c.id.in_(found))).rowcount


def mailed_to(connection: sa.Connection, message_id: int) -> Any:
    """Return measure, context, and the living contact of a mail; None when it is unknown or the person erased."""
    statement = (
        sa.select(
            messages.c.measure,
            messages.c.context,
            sa.func.coalesce(contacts.c.survivor, contacts.c.id).label("person"),
        )
        .join(contacts, contacts.c.id == messages.c.contact_id)
        .where(messages.c.id == message_id, contacts.c.erased_at.is_(None))
    )
    return connection.execute(statement).one_or_none()
