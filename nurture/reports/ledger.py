"""Report the ledger: single mails, and for each measure the outcomes of all planned mails."""

from typing import Any

import sqlalchemy as sa

from nurture.contacts.action_queries import count_actions
from nurture.database import schema as t
from nurture.delivery.claim_queries import conservation, no_mails
from nurture.domain.instant import to_iso


def list_messages(
    connection: sa.Connection,
    *,
    contacts: list[int] | None = None,
    measure: str | None = None,
    status: str | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return mails of the ledger as plain values, newest first."""
    statement = sa.select(t.messages).order_by(t.messages.c.id.desc()).limit(limit)
    if contacts is not None:
        statement = statement.where(t.messages.c.contact_id.in_(contacts))
    if measure is not None:
        statement = statement.where(t.messages.c.measure == measure)
    if status is not None:
        statement = statement.where(t.messages.c.status == status)
    return [
        {
            "message": row.id,
            "contact": row.contact_id,
            "measure": row.measure,
            "key": row.run_key,
            "step": row.step,
            "status": row.status,
            "reason": row.reason,
            "due_at": to_iso(row.due_at),
            "sent_at": to_iso(row.sent_at) if row.sent_at else None,
        }
        for row in connection.execute(statement)
    ]


def load_message(connection: sa.Connection, number: int) -> sa.Row[Any] | None:
    """Return one row of the ledger, None when there is none of this number."""
    return connection.execute(sa.select(t.messages).where(t.messages.c.id == number)).one_or_none()


def load_attempts(connection: sa.Connection, number: int) -> list[dict[str, Any]]:
    """Return the attempts to send a message as plain values, oldest first, each with the mail server's words."""
    a = t.attempts.c
    rows = connection.execute(sa.select(t.attempts).where(a.message_id == number).order_by(a.at, a.id))
    return [
        {
            "attempt": row.attempt,
            "at": to_iso(row.at),
            "outcome": row.outcome,
            "stage": row.stage,
            "code": row.code,
            "reply": row.reply,
        }
        for row in rows
    ]


def count_by_measure(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return planned and settled mails per measure; `balanced`: planned matches the ledger.

    `actions`: of a measure that decided any, `planned` and their number by status.

    `skips` and `expiries` count the skipped and the expired mails by reason; `asked_for` those that people asked for.
    """
    m = t.messages.c
    reasons = connection.execute(
        sa.select(m.measure, m.status, m.reason, sa.func.count())
        .where(m.status.in_(("skipped", "expired")))
        .group_by(m.measure, m.status, m.reason)
    )
    requested = connection.execute(
        sa.select(m.measure, sa.func.count()).where(m.asked_for).group_by(m.measure)
    )
    asked = {str(path): int(count) for path, count in requested}
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for path, status, reason, count in reasons:
        counts.setdefault((path, status), {})[reason] = count
    acted = count_actions(connection)
    rows = conservation(connection)
    known = {row["measure"] for row in rows}
    rows += [no_mails(measure) for measure in acted if measure not in known]
    return [
        {
            **row,
            **({"actions": acted[row["measure"]]} if row["measure"] in acted else {}),
            "skips": counts.get((row["measure"], "skipped"), {}),
            "expiries": counts.get((row["measure"], "expired"), {}),
            "asked_for": asked.get(row["measure"], 0),
        }
        for row in sorted(rows, key=lambda row: row["measure"])
    ]


def nothing_planned(measure: str) -> dict[str, Any]:
    """Return the row of a measure that has planned no mail."""
    return {**no_mails(measure), "skips": {}, "expiries": {}, "asked_for": 0}


def count_people(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return how many contacts stand at each stage of each track."""
    c = t.contacts.c
    statement = (
        sa.select(c.track, c.stage, sa.func.count().label("people"))
        .where(c.survivor.is_(None), c.erased_at.is_(None))
        .group_by(c.track, c.stage)
    )
    return [
        {"track": row.track, "stage": row.stage, "people": row.people}
        for row in connection.execute(statement)
    ]
