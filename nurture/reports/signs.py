"""Read the signs of an installation's health from the rows that processes, lanes and rooms write. Read-only, by index.

`load_signs` is the only place that asks for them; `domain.health.judge` says what they mean.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.health.rates import WINDOW
from nurture.domain.health.signs import (
    BacklogSign,
    LaneSign,
    PauseSign,
    ProcessSign,
    RateSign,
    SenderSign,
    Signs,
    WarmUpSign,
)
from nurture.domain.health.warm_up import day_of
from nurture.domain.instant import MINUTE, Duration, Instant
from nurture.reports.backlog import QUEUES, find_due_since

#: Due rows are compared with those of this long ago.
COMPARED_AFTER: Duration = 5 * MINUTE
#: Receiving domains that are shown, those with the most mails.
DOMAINS_SHOWN = 10
_WAITING = t.messages.c.status == sa.literal_column("'waiting'")


def load_signs(
    connection: sa.Connection, *, now: Instant, takes_mail: bool = False, counts: bool = True
) -> Signs:
    """Return every sign.

    now: the database's time. takes_mail: a process should receive mail. counts: False leaves out waiting mail and
    receiving domains.
    """
    quarantine, quarantine_at = _load_quarantine(connection)
    set_aside, set_aside_at = _load_set_aside(connection)
    open_cases, overdue_cases, overdue_since = _load_cases(connection, now)
    pauses = _load_pauses(connection)
    return Signs(
        now=now,
        processes=load_processes(connection),
        lanes=_load_lanes(connection, now, counts=counts),
        backlog=_load_backlog(connection, now),
        pauses=pauses,
        sender=_load_sender(connection),
        lane_rates=load_lane_rates(connection, since=now - WINDOW),
        domain_rates=_load_rates(connection, t.sending_counts.c.domain, since=now - WINDOW)[:DOMAINS_SHOWN]
        if counts
        else (),
        embedded=connection.dialect.name == "sqlite",
        takes_mail=takes_mail,
        warm_up=_load_warm_up(connection, now),
        quarantine=quarantine,
        quarantine_at=quarantine_at,
        set_aside=set_aside,
        set_aside_at=set_aside_at,
        conflicts=_count(connection, t.conflicts, t.conflicts.c.state == sa.literal_column("'open'")),
        open_cases=open_cases,
        overdue_cases=overdue_cases,
        overdue_since=overdue_since,
        approvals=_count(
            connection, t.approvals, t.approvals.c.state == "waiting", t.approvals.c.until > now
        ),
    )


def load_processes(connection: sa.Connection) -> list[ProcessSign]:
    """Return what each process last wrote about itself, by kind and place."""
    statement = sa.select(t.processes).order_by(t.processes.c.kind, t.processes.c.host, t.processes.c.pid)
    rows = connection.execute(statement).mappings()
    return [ProcessSign(**{**row, "settings": json.loads(row["settings"])}) for row in rows]


def load_lane_rates(connection: sa.Connection, *, since: Instant, lane: str | None = None) -> list[RateSign]:
    """Return what became of the mails of each lane (or of one) since an instant."""
    return _load_rates(connection, t.sending_counts.c.lane, since=since, lane=lane)


def _load_rates(
    connection: sa.Connection, about: sa.Column[str], *, since: Instant, lane: str | None = None
) -> list[RateSign]:
    """Return what became of the mails since an instant, by this column, the most mails first."""
    counts = t.sending_counts.c
    totals = [
        sa.func.sum(counts[name]).label(name) for name in ("sent", "hard_bounces", "deferred", "complaints")
    ]
    statement = sa.select(about.label("about"), *totals).where(counts.slot >= since).group_by(about)
    if lane is not None:
        statement = statement.where(counts.lane == lane)
    rows = connection.execute(statement.order_by(sa.desc("sent"), about)).all()
    return [RateSign(row.about, *(int(row[place]) for place in range(1, 5))) for row in rows]


def _load_lanes(connection: sa.Connection, now: Instant, *, counts: bool) -> list[LaneSign]:
    rows = connection.execute(sa.select(t.lane_states).order_by(t.lane_states.c.lane)).all()
    waiting: Mapping[str, int] = {}
    if counts:
        by_lane = sa.select(t.messages.c.lane, sa.func.count()).where(_WAITING).group_by(t.messages.c.lane)
        waiting = dict(tuple(row) for row in connection.execute(by_lane))
    known = {row.lane: row for row in rows}
    return [
        LaneSign(
            name,
            waiting=waiting.get(name, 0),
            due_since=_find_due_of_lane(connection, name, now),
            **_lane_state(known.get(name)),
        )
        for name in sorted(known.keys() | waiting.keys())
    ]


_LANE = ("success_at", "answered_at", "failure_at", "failing_since", "stage", "words")


def _lane_state(row: Any) -> dict[str, Any]:
    return {} if row is None else {name: getattr(row, name) for name in _LANE}


def _find_due_of_lane(connection: sa.Connection, lane: str, now: Instant) -> Instant | None:
    """Return since when the lane's oldest waiting mail is due: the first entry of an index."""
    due = t.messages.c.due_at
    statement = sa.select(due).where(_WAITING, t.messages.c.lane == lane, due <= now).order_by(due).limit(1)
    return connection.scalar(statement)


def _load_backlog(connection: sa.Connection, now: Instant) -> list[BacklogSign]:
    due_since = find_due_since(connection, now=now)
    samples = t.backlog_samples
    recent = sa.select(samples).where(samples.c.at > now - 2 * COMPARED_AFTER).order_by(samples.c.at)
    rows: dict[str, list[Any]] = {}
    for row in connection.execute(recent):
        rows.setdefault(row.queue, []).append(row)
    return [
        BacklogSign(queue, due_since.get(queue), *_newest_and_before(rows.get(queue, []), now))
        for queue in QUEUES
    ]


def _newest_and_before(samples: Sequence[Any], now: Instant) -> tuple[int | None, int | None]:
    """Return the newest count, and the newest that is at least COMPARED_AFTER old."""
    before = [row.rows for row in samples if row.at <= now - COMPARED_AFTER]
    return (samples[-1].rows if samples else None, before[-1] if before else None)


def _load_pauses(connection: sa.Connection) -> list[PauseSign]:
    statement = sa.select(t.switches).where(t.switches.c.paused).order_by(t.switches.c.at)
    return [PauseSign(row.name, row.reason, row.at, row.actor) for row in connection.execute(statement)]


def _load_sender(connection: sa.Connection) -> list[SenderSign]:
    checks = t.sender_checks
    rows = connection.execute(sa.select(checks).order_by(checks.c.name))
    return [SenderSign(row.name, row.state, row.words, row.remedy, row.at) for row in rows]


def _load_warm_up(connection: sa.Connection, now: Instant) -> list[WarmUpSign]:
    days = t.warm_up_days
    today = sa.select(days).where(days.c.day == day_of(now)).order_by(days.c.lane, days.c.domain)
    return [WarmUpSign(row.lane, row.domain, row.mails, row.ceiling) for row in connection.execute(today)]


def _load_quarantine(connection: sa.Connection) -> tuple[dict[str, int], Instant | None]:
    table = t.quarantine
    statement = sa.select(table.c.stage, sa.func.count(), sa.func.max(table.c.received_at))
    rows = connection.execute(statement.group_by(table.c.stage)).all()
    return {row[0]: row[1] for row in rows}, max((row[2] for row in rows), default=None)


def _load_set_aside(connection: sa.Connection) -> tuple[dict[str, int], Instant | None]:
    table = t.set_aside_measures
    statement = sa.select(table.c.measure, sa.func.count(), sa.func.min(table.c.at))
    rows = connection.execute(statement.group_by(table.c.measure)).all()
    return {row[0]: row[1] for row in rows}, min((row[2] for row in rows), default=None)


def _load_cases(connection: sa.Connection, now: Instant) -> tuple[int, int, Instant | None]:
    """Return how many cases are open, how many of them overdue, and since when."""
    case = t.dialogues.c
    is_overdue = sa.and_(case.answered_at.is_(None), case.due_at <= now)
    statement = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(sa.case((is_overdue, 1), else_=0)), 0),
        sa.func.min(sa.case((is_overdue, case.due_at))),
    ).where(case.closed_at.is_(None))
    row = connection.execute(statement).one()
    return row[0], int(row[1]), row[2]


def _count(connection: sa.Connection, table: sa.Table, *wanted: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*wanted)) or 0
