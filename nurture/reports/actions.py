"""The actions of people's runs, in words: events that measures handed in, consents that they ended, owners told."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from nurture.contacts.action_queries import list_actions
from nurture.database.engine import decode
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import Instant
from nurture.domain.measure import ActionStep, Measure
from nurture.domain.measure.planned_actions import ACTION_REASONS
from nurture.feedback.cases import case_name

#: Of so many newest actions of the person, those of a measure are described.
_ACTIONS_MAX: Final = 100


class ActionLine(NamedTuple):
    """One action: when it was decided, of which measure, and what became of it."""

    at: Instant
    measure: str
    step: str
    status: str
    # `emit of Points Granted`, `mail `brief` to support, case R-1`.
    what: str
    # Why it was not carried out; "" where it was.
    because: str


def load_actions(
    connection: sa.Connection, contact_ids: Sequence[int], names: MeasureNames, *, limit: int
) -> list[ActionLine]:
    """Return the newest actions decided for these contacts."""
    return [
        ActionLine(
            row.decided_at,
            names.shown(row.measure),
            row.step,
            row.status,
            _describe(row),
            ACTION_REASONS.get(row.reason, row.reason),
        )
        for row in list_actions(connection, contact_ids, limit=limit)
    ]


def describe_actions(
    connection: sa.Connection, contact_ids: Sequence[int], measure: Measure, *, now: Instant
) -> Iterator[tuple[str, bool, str, str]]:
    """Yield (check, carried out, what became of it, why) for each action of the measure up to `now`, oldest first."""
    if not any(isinstance(step, ActionStep) for step in measure.steps):
        return
    names = MeasureNames({measure.path: measure})
    for line in reversed(load_actions(connection, contact_ids, names, limit=_ACTIONS_MAX)):
        if line.measure == measure.path and line.at <= now:
            yield f"action {line.step}", line.status == "done", f"{line.status}: {line.what}", line.because


def _describe(row: sa.Row[Any]) -> str:
    data = decode(row.data)
    if row.kind == "emit":
        return f"emit of {data.get('event', 'an event')}{' to the referrer' if 'referrer' in data else ''}"
    if row.kind == "notify":
        case = f", case {case_name(data['case'])}" if "case" in data else ""
        return (
            f"mail `{data.get('mail', '')}` to {', '.join(data.get('to', ()))}{case}"
            if data
            else "mail to owners"
        )
    return f"end of the topic {data.get('topic', '')}".strip()
