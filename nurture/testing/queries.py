"""The rows of a test's database: the mails of a person with their runs, and the reasons that stand behind them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import members_of
from nurture.database import schema as t


def load_messages(connection: sa.Connection, contact_id: int | None = None) -> Sequence[sa.Row[Any]]:
    """Return the decided mails of a person, or of everybody, in order of sending or deciding."""
    m = t.messages.c
    statement = (
        sa.select(t.messages, t.runs.c.variant)
        .outerjoin(
            t.runs,
            sa.and_(
                t.runs.c.contact_id == m.contact_id,
                t.runs.c.measure == m.measure,
                t.runs.c.key == m.run_key,
            ),
        )
        .order_by(sa.func.coalesce(m.sent_at, m.decided_at), m.id)
    )
    if contact_id is not None:
        statement = statement.where(m.contact_id.in_(members_of(connection, [contact_id])))
    return connection.execute(statement).all()


def load_reasons(connection: sa.Connection, contact_id: int, measure: str, step: str) -> set[str]:
    """Return every reason for which mails of the measure did not come: of mails, of runs, and of refused entries.

    measure: its identity. step: "" for any.
    """
    ids = list(members_of(connection, [contact_id]))
    statements: Iterable[sa.Select[Any]] = (
        sa.select(t.messages.c.reason).where(
            t.messages.c.contact_id.in_(ids),
            t.messages.c.measure == measure,
            sa.true() if not step else t.messages.c.step == step,
        ),
        sa.select(t.runs.c.reason).where(t.runs.c.contact_id.in_(ids), t.runs.c.measure == measure),
        sa.select(t.non_entries.c.reason).where(
            t.non_entries.c.contact_id.in_(ids), t.non_entries.c.measure == measure
        ),
    )
    return {str(reason) for statement in statements for reason in connection.scalars(statement) if reason}


def load_newest_request(connection: sa.Connection, contact_id: int) -> int | None:
    """Return the number of the person's newest request on our pages; None without one."""
    requests = t.requests.c
    newest = sa.select(sa.func.max(requests.id)).where(requests.contact_id == contact_id)
    number: int | None = connection.scalar(newest)
    return number


def load_newest_run(connection: sa.Connection, contact_id: int, measure: str) -> sa.Row[Any] | None:
    """Return the person's newest run of a measure by its identity."""
    ids = list(members_of(connection, [contact_id]))
    statement = (
        sa.select(t.runs)
        .where(t.runs.c.contact_id.in_(ids), t.runs.c.measure == measure)
        .order_by(t.runs.c.started_at.desc(), t.runs.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).one_or_none()


def load_run(connection: sa.Connection, contact_id: int, measure: str, key: str) -> sa.Row[Any] | None:
    """Return the person's run of a measure, by its identity, for a key."""
    ids = list(members_of(connection, [contact_id]))
    statement = sa.select(t.runs).where(
        t.runs.c.contact_id.in_(ids), t.runs.c.measure == measure, t.runs.c.key == key
    )
    return connection.execute(statement.limit(1)).one_or_none()
