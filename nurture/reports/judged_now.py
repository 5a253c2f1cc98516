"""The verdicts that the guard would give at this instant on the waiting mail of a person; nothing is written."""

from typing import Any

import sqlalchemy as sa

from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.claim import guard_messages
from nurture.delivery.load_guard_input import build_item, load_objects
from nurture.delivery.load_waiting_mail import load_waiting_mail
from nurture.domain.instant import to_iso
from nurture.domain.measure import Measure
from nurture.domain.message import Verdict


def judge_waiting_mail(
    connection: sa.Connection, contact_id: int, measure: Measure, scope: ChunkScope
) -> list[dict[str, Any]]:
    """Return the verdict of now on each waiting mail of a measure: its action, until when, and the failed checks.

    All waiting mails of the person are judged together, as the guard does: one may take the slot of another.
    """
    loaded = load_waiting_mail(connection, [contact_id], scope)
    if not loaded.rows:
        return []
    family = next(iter(loaded.families.values()))
    rows = [row for rows in loaded.rows.values() for row in rows]
    items = [build_item(row, family, loaded.runs, scope) for row in rows]
    if any(item.measure is not None and item.measure.objects for item in items):
        load_objects(connection, items, scope)
    mine = {row.id for row in rows if row.measure == measure.root}
    return [
        {"message": item.due.id, "step": item.due.step, "at": to_iso(scope.now), **_describe(verdict)}
        for item, verdict in guard_messages(items, scope)
        if item.due.id in mine
    ]


def _describe(verdict: Verdict) -> dict[str, Any]:
    failed = [f"{check.name} ({check.detail})" for check in verdict.checks if not check.passed]
    return {
        "action": verdict.action,
        "reason": verdict.reason,
        "until": to_iso(verdict.until) if verdict.action == "defer" and verdict.until is not None else None,
        "because": "; ".join(failed) or verdict.reason,
    }
