"""Statements about actions (table `actions`): decided steps of runs that send no mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.contacts.queries import run_of
from nurture.database.bulk import any_of, insert, update
from nurture.database.engine import encode
from nurture.database.schema import actions, runs
from nurture.domain.contact import Advance, Run
from nurture.domain.instant import Instant
from nurture.domain.measure.planned_actions import PlannedAction

_KEY = ("contact_id", "measure", "run_key", "step")
_COLUMNS = (*_KEY, "kind", "status", "reason", "decided_at", "settled_at", "data")


@dataclass(frozen=True, slots=True)
class StoredAction:
    """A decided action with its row, and the living contact for which it is carried out."""

    id: int
    contact: int
    action: PlannedAction


def add_actions(connection: sa.Connection, advances: Sequence[Advance]) -> list[StoredAction]:
    """Insert the actions that these advances decided, and return those that no row stood for yet, in their order.

    A row belongs to the contact with which its run began. Without an action no statement runs.
    """
    decided = [(advance, action) for advance in advances for action in advance.actions]
    if not decided:
        return []
    known = [
        run.id
        for advance, action in decided
        if (run := advance.runs.get((action.measure, action.run_key))) is not None and run.id
    ]
    owners = _owners(connection, known)
    planned: dict[tuple[Any, ...], tuple[int, PlannedAction]] = {}
    for advance, action in decided:
        run = advance.runs.get((action.measure, action.run_key))
        owner = owners.get(run.id if run is not None else 0, advance.contact.id)
        planned[owner, action.measure, action.run_key, action.step] = advance.contact.id, action
    rows = [(*key, *_values(action)) for key, (_, action) in planned.items()]
    inserted = insert(
        connection, actions, rows, columns=_COLUMNS, conflict=list(_KEY), returning=["id", *_KEY]
    )
    ids = {tuple(row)[1:]: row.id for row in inserted}
    return [StoredAction(ids[key], *value) for key, value in planned.items() if key in ids]


def settle_actions(connection: sa.Connection, rows: Sequence[tuple[int, str, str, int]]) -> None:
    """Set (id, status, reason, settled_at) of these actions."""
    update(connection, actions, rows, key=["id"], columns=["status", "reason", "settled_at"])


def set_action_data(connection: sa.Connection, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Set what these actions (id, data) say."""
    values = [(number, encode(data)) for number, data in rows]
    update(connection, actions, values, key=["id"], columns=["data"])


def lock_notifications(connection: sa.Connection, *, limit: int) -> list[sa.Row[Any]]:
    """Lock and return the oldest actions that are to tell owners something and did not yet."""
    statement = (
        sa.select(actions)
        .where(actions.c.status == "waiting", actions.c.kind == "notify")
        .order_by(actions.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(statement))


def count_untold(connection: sa.Connection, *, before: Instant) -> int:
    """Return how many owners' mails that were decided before an instant are not made yet."""
    statement = sa.select(sa.func.count()).where(
        actions.c.status == "waiting", actions.c.kind == "notify", actions.c.decided_at < before
    )
    return int(connection.scalar(statement) or 0)


def load_runs_of_actions(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[int, Run]:
    """Return action -> its run, as it is now."""
    places = {(row.contact_id, row.measure, row.run_key): row.id for row in rows}
    statement = sa.select(runs).where(any_of(runs.c.contact_id, [place[0] for place in places], connection))
    found = connection.execute(statement)
    return {
        places[place]: run_of(row)
        for row in found
        if (place := (row.contact_id, row.measure, row.key)) in places
    }


def _owners(connection: sa.Connection, run_ids: Sequence[int]) -> dict[int, int]:
    """Return run -> the contact with which it began."""
    if not run_ids:
        return {}
    statement = sa.select(runs.c.id, runs.c.contact_id).where(any_of(runs.c.id, run_ids, connection))
    return {row.id: row.contact_id for row in connection.execute(statement)}


def _values(action: PlannedAction) -> tuple[Any, ...]:
    settled_at = None if action.status == "waiting" else action.decided_at
    return (action.kind, action.status, action.reason, action.decided_at, settled_at, encode(action.data))


def count_actions(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """Return measure -> `planned`, counted from the runs, and the number of its actions by status."""
    counts: dict[str, dict[str, int]] = {}
    planned = sa.select(runs.c.measure, sa.func.sum(runs.c.actions)).where(runs.c.actions > 0)
    for measure, number in connection.execute(planned.group_by(runs.c.measure)):
        counts.setdefault(measure, {})["planned"] = int(number)
    by_status = sa.select(actions.c.measure, actions.c.status, sa.func.count())
    for measure, status, number in connection.execute(
        by_status.group_by(actions.c.measure, actions.c.status)
    ):
        counts.setdefault(measure, {"planned": 0})[status] = int(number)
    return counts


def list_actions(connection: sa.Connection, contact_ids: Sequence[int], *, limit: int) -> list[sa.Row[Any]]:
    """Return the newest actions decided for these contacts."""
    statement = (
        sa.select(actions)
        .where(any_of(actions.c.contact_id, contact_ids, connection))
        .order_by(actions.c.decided_at.desc(), actions.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(statement))
