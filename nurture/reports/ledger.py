"""Report the ledger: single mails, and for each measure the outcomes of all planned mails."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.action_queries import count_actions
from nurture.database import schema as t
from nurture.delivery.claim_queries import COLUMNS, count_planned, no_mails
from nurture.domain.instant import to_iso
from nurture.domain.measure import MailStep
from nurture.domain.playbook import Playbook
from nurture.reports.day_table import ALL_DAYS, Days, sum_mails, sum_people

_M: Final = t.messages.c


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


def count_by_measure(connection: sa.Connection, days: Days = ALL_DAYS) -> list[dict[str, Any]]:
    """Return planned and settled mails per measure, from the day table; `balanced`: planned matches the others.

    Of all days, `planned` is counted from the steps that runs decided. Of some days the figures are what changed in
    them: `planned` the mails decided, each status how many more mails have it.
    `actions`: of a measure that decided any, `planned` and their number by status; of all days only.
    `skips` and `expiries` count the skipped and the expired mails by reason; `asked_for` those that people asked for.
    """
    rows: dict[str, dict[str, Any]] = {}

    def row_of(measure: str) -> dict[str, Any]:
        return rows.setdefault(measure, nothing_planned(measure))

    for (measure, _, _, _, asked_for, status, reason), number in sum_mails(connection, days).items():
        row = row_of(measure)
        row[status] += number
        row["asked_for"] += number if asked_for else 0
        if status in _REASONS:
            reasons = row[_REASONS[status]]
            reasons[reason] = reasons.get(reason, 0) + number
    if days.is_all:
        for measure, count in count_planned(connection).items():
            row_of(measure)["planned"] = count
        for measure, counts in count_actions(connection).items():
            row_of(measure)["actions"] = counts
    for row in rows.values():
        counted = sum(row[name] for name in COLUMNS)
        if not days.is_all:
            row["planned"] = counted
        row["balanced"] = row["planned"] == counted
    return [rows[measure] for measure in sorted(rows)]


#: A status whose mails are counted by reason -> the column of its reasons.
_REASONS: Final = {"skipped": "skips", "expired": "expiries"}


def nothing_planned(measure: str) -> dict[str, Any]:
    """Return the row of a measure that has planned no mail."""
    return {**no_mails(measure), "skips": {}, "expiries": {}, "asked_for": 0}


def list_never_sent(connection: sa.Connection, playbook: Playbook) -> list[dict[str, Any]]:
    """Return every mail step of which no mail was sent, and how far people came. Reads the whole ledger."""
    counted = connection.execute(
        sa.select(_M.measure, _M.step, _M.status, _M.reason, sa.func.count()).group_by(
            _M.measure, _M.step, _M.status, _M.reason
        )
    ).all()
    entered = set(connection.scalars(sa.select(t.runs.c.measure).distinct()))
    ended: dict[tuple[str, str], dict[str, int]] = {}
    for measure, step, status, reason, count in counted:
        causes = ended.setdefault((measure, step), {})
        cause = "sent" if status == "sent" else reason or status
        causes[cause] = causes.get(cause, 0) + count
    rows = []
    for path, measure in sorted(playbook.measures.items()):
        for step in measure.steps:
            causes = ended.get((measure.root, step.id), {})
            if isinstance(step, MailStep) and "sent" not in causes:
                rows.append(
                    {
                        "measure": path,
                        "step": step.id,
                        "because": _never_sent(causes, has_entered=measure.root in entered),
                    }
                )
    return rows


def _never_sent(causes: Mapping[str, int], *, has_entered: bool) -> str:
    if causes:
        return ", ".join(
            f"{cause} {count}" for cause, count in sorted(causes.items(), key=lambda item: -item[1])
        )
    return "nobody came to it" if has_entered else "nobody entered the measure"


def count_people(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return how many contacts stand at each stage of each track, from the day table."""
    return [
        {"track": track, "stage": stage, "people": people}
        for (track, stage), people in sorted(sum_people(connection, ALL_DAYS).items())
    ]
