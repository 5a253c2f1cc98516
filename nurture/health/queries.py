"""Statements about the rows that processes and lanes write about themselves. Instants are the database's time."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nurture.database import bulk
from nurture.database.bulk import Row
from nurture.database.schema import (
    backlog_samples,
    job_slots,
    lane_states,
    processes,
    sender_checks,
    sending_counts,
    troubles,
    warm_up_days,
)
from nurture.domain.health.findings import Finding
from nurture.domain.health.signs import ProcessSign
from nurture.domain.instant import Instant

#: The stages at which a check without mail shows that the server is there again.
_UNREACHED = ("connect", "greeted")


# ---- processes -------------------------------------------------------------------------------------------


def save_process(connection: sa.Connection, sign: ProcessSign) -> None:
    """Insert or update the row of one process."""
    row = {name: getattr(sign, name) for name in _PROCESS}
    row["settings"] = json.dumps(dict(sign.settings), sort_keys=True)
    bulk.insert(connection, processes, [row], conflict=("host", "pid"), update=_PROCESS[2:])


_PROCESS = (
    "host", "pid", "kind", "version", "started_at", "beat_at", "doing", "broker_at", "broker_error",
    "settings",
)  # fmt: skip


def delete_process(connection: sa.Connection, host: str, pid: int) -> None:
    """Delete the row of a process that ends."""
    connection.execute(sa.delete(processes).where(processes.c.host == host, processes.c.pid == pid))


def delete_old(connection: sa.Connection, *, lost: Instant, counts: Instant, samples: Instant) -> None:
    """Delete processes and lanes that were last heard of before `lost`, and older counts and samples."""
    connection.execute(sa.delete(processes).where(processes.c.beat_at < lost))
    heard = sa.func.coalesce(lane_states.c.checked_at, lane_states.c.success_at, lane_states.c.failure_at, 0)
    connection.execute(sa.delete(lane_states).where(heard < lost))
    connection.execute(sa.delete(sending_counts).where(sending_counts.c.slot < counts))
    connection.execute(sa.delete(warm_up_days).where(warm_up_days.c.day < counts))
    connection.execute(sa.delete(backlog_samples).where(backlog_samples.c.at < samples))


# ---- lanes -----------------------------------------------------------------------------------------------


def save_success(connection: sa.Connection, lane: str, *, at: Instant) -> None:
    """Note that the lane's server accepted a mail; what failed before is over, and stays readable."""
    row = {"lane": lane, "success_at": at, "failing_since": None}
    _save_lane(connection, row, {"success_at": at, "failing_since": None})


def save_answer(connection: sa.Connection, lane: str, *, at: Instant) -> None:
    """Note that the lane's server answered a check without a mail."""
    was_unreached = lane_states.c.stage.in_(_UNREACHED)
    over = sa.case((was_unreached, sa.null()), else_=lane_states.c.failing_since)
    row = {"lane": lane, "answered_at": at, "checked_at": at}
    _save_lane(connection, row, {"answered_at": at, "checked_at": at, "failing_since": over})


def save_failure(connection: sa.Connection, lane: str, *, at: Instant, stage: str, words: str) -> None:
    """Note that the lane's server could not be reached, or refused us."""
    new = {"failure_at": at, "stage": stage, "words": words}
    since = sa.func.coalesce(lane_states.c.failing_since, at)
    _save_lane(connection, {"lane": lane, "failing_since": at} | new, {"failing_since": since} | new)


def load_failure(connection: sa.Connection, lane: str) -> tuple[str, Instant | None]:
    """Return the stage of a lane's newest failure, and since when no mail was accepted; None when one was."""
    states = sa.select(lane_states.c.stage, lane_states.c.failing_since)
    row = connection.execute(states.where(lane_states.c.lane == lane)).first()
    return (row.stage, row.failing_since) if row is not None else ("", None)


def _save_lane(connection: sa.Connection, row: Row, update: dict[str, Any]) -> None:
    statement = _insert_into(connection, lane_states).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["lane"], set_=update))


def take_check(connection: sa.Connection, lane: str, *, now: Instant, before: Instant) -> bool:
    """Take the next check of a lane; False where a process checked it, or a mail left through it, since `before`."""
    bulk.insert(connection, lane_states, [{"lane": lane}], conflict=("lane",))
    heard = sa.func.coalesce(lane_states.c.checked_at, 0)
    accepted = sa.func.coalesce(lane_states.c.success_at, 0)
    statement = sa.update(lane_states).where(lane_states.c.lane == lane, heard < before, accepted < before)
    return connection.execute(statement.values(checked_at=now)).rowcount > 0


def add_counts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Add to the counts of what became of mails; each row has slot, lane, domain and every count."""
    if not rows:
        return
    # One order for all processes, so that two that add to the same rows cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row["slot"], row["lane"], row["domain"]))
    statement = _insert_into(connection, sending_counts).values(ordered)
    added = {name: sending_counts.c[name] + statement.excluded[name] for name in COUNTED}
    connection.execute(statement.on_conflict_do_update(index_elements=["slot", "lane", "domain"], set_=added))


def count_rows(slot: Instant, counts: Mapping[tuple[str, str, str], int]) -> list[Row]:
    """Return the rows of one stretch for `add_counts`. counts: (lane, domain, name of the count) -> number."""
    rows: dict[tuple[str, str], Row] = {}
    for (lane, domain, name), number in counts.items():
        empty: Row = {"slot": slot, "lane": lane, "domain": domain, **dict.fromkeys(COUNTED, 0)}
        rows.setdefault((lane, domain), empty)[name] += number
    return list(rows.values())


COUNTED = ("sent", "hard_bounces", "deferred", "complaints")


def _insert_into(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT that can update the row that is there."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


# ---- warm-up ---------------------------------------------------------------------------------------------

#: The domain of the row that counts a whole lane.
ALL_PROVIDERS = "*"


def lock_warm_up(
    connection: sa.Connection, lane: str, day: Instant, *, providers: Sequence[str], ceiling: int | None
) -> dict[str, int]:
    """Lock the rows of a lane's day and return provider (ALL_PROVIDERS: the lane) -> mails that have left."""
    rows = [
        {"day": day, "lane": lane, "domain": domain, "ceiling": ceiling if domain == ALL_PROVIDERS else None}
        for domain in (ALL_PROVIDERS, *providers)
    ]
    # The update locks the rows, that of the whole lane first.
    bulk.insert(connection, warm_up_days, rows, conflict=("day", "lane", "domain"), update=("ceiling",))
    mine = sa.select(warm_up_days.c.domain, warm_up_days.c.mails).where(
        warm_up_days.c.day == day, warm_up_days.c.lane == lane
    )
    return {row.domain: row.mails for row in connection.execute(mine.order_by(warm_up_days.c.domain))}


def add_warm_up(connection: sa.Connection, lane: str, day: Instant, leaving: Mapping[str, int]) -> None:
    """Add mails that leave to the rows of a lane's day. leaving: provider -> number."""
    total = sum(leaving.values())
    if not total:
        return
    counts = {**leaving, ALL_PROVIDERS: total}
    statement = sa.update(warm_up_days).where(
        warm_up_days.c.day == day, warm_up_days.c.lane == lane, warm_up_days.c.domain.in_(sorted(counts))
    )
    added = sa.case(counts, value=warm_up_days.c.domain, else_=0)
    connection.execute(statement.values(mails=warm_up_days.c.mails + added))


# ---- what was found --------------------------------------------------------------------------------------


def take_slot(connection: sa.Connection, job: str, slot: Instant, *, now: Instant) -> bool:
    """Take a slot of a job; False where another process has taken it."""
    row = {"job": job, "slot": slot, "at": now}
    return bool(bulk.insert(connection, job_slots, [row], conflict=["job", "slot"], returning=["slot"]))


def save_backlog(connection: sa.Connection, rows: dict[str, int], *, at: Instant) -> None:
    """Keep how many rows of each queue are due."""
    samples = [{"queue": queue, "at": at, "rows": number} for queue, number in rows.items()]
    bulk.insert(connection, backlog_samples, samples, conflict=("queue", "at"))


def load_troubles(connection: sa.Connection) -> dict[str, Any]:
    """Return key -> row of the trouble that was found before."""
    return {row.key: row for row in connection.execute(sa.select(troubles))}


def save_troubles(connection: sa.Connection, findings: Sequence[Finding], *, now: Instant) -> None:
    """Insert or update the rows of findings."""
    rows = [
        {
            "key": finding.key,
            "severity": finding.severity,
            "words": finding.words,
            "since": now if finding.since is None else finding.since,
        }
        for finding in findings
    ]
    bulk.insert(connection, troubles, rows, conflict=("key",), update=("severity", "words"))


def delete_troubles(connection: sa.Connection, keys: Collection[str]) -> None:
    """Delete the rows of trouble that has ended."""
    if keys:
        connection.execute(sa.delete(troubles).where(troubles.c.key.in_(sorted(keys))))


def save_sender_checks(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Replace the results of the checks of the sender."""
    connection.execute(sa.delete(sender_checks))
    bulk.insert(connection, sender_checks, rows)
