"""The clock: every few seconds a tick, and any number of schedulers may tick.

APScheduler only says when. Each tick inserts its (job, slot) row in the transaction of its effect; the second
one finds the row and does nothing. Queues are notified after the commit. Nothing is kept in memory that a
restart would miss: what is due stands in the database.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

from nurture.app.privacy import resume_erasures
from nurture.app.services import Services
from nurture.contacts.accept import inbox_key
from nurture.database import bulk
from nurture.database.day_counts import fold_changes
from nurture.database.engine import limit_lock_wait
from nurture.database.notifications import ADVANCE, DELIVER, FEEDBACK, INBOX, MEASUREMENT, note
from nurture.database.schema import job_slots
from nurture.delivery.journal import queries as journal_queries
from nurture.delivery.journal import restore_detection
from nurture.delivery.lanes import delete_ended_rests
from nurture.domain.instant import DAY, HOUR, SECOND, WEEK, Instant
from nurture.domain.retention import compute_retention
from nurture.feedback import clicks
from nurture.feedback.sunset import sunset
from nurture.health import queries as health_queries
from nurture.journey.retention import retain as remove_old
from nurture.reports.backlog import find_busy_shards
from nurture.runtime.clock import is_off
from nurture.runtime.failpoints import failpoint
from nurture.runtime.log import get_logger
from nurture.transports.registry import open_lanes

_log = get_logger("scheduler")


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done once in every stretch of time."""

    name: str
    # Length of the stretch; it begins at multiples of this since 1970.
    seconds: int
    # Does the work in the tick's transaction.
    effect: Callable[[sa.Connection, Services, Instant], None]


def look(connection: sa.Connection, services: Services, now: Instant) -> None:
    """Notify every queue that may have due work, so that a lost notification costs time only."""
    note(connection, INBOX, *sorted({inbox_key(shard) for shard in find_busy_shards(connection)}))
    if clicks.is_due(connection, now=now):
        note(connection, FEEDBACK, "")
    note(connection, ADVANCE, "")
    note(connection, DELIVER, *open_lanes(services.settings.mail_url))


def tidy(connection: sa.Connection, _services: Services, now: Instant) -> None:
    """Forget the slots of yesterday, who followed links the day before, and rests of domains that ended."""
    clicks.delete_judged(connection, now=now)
    # A brief is worth sending for days, and its slot keeps it from being sent twice.
    keep_for = sa.case((job_slots.c.job.startswith("brief:"), WEEK), else_=DAY)
    is_old = job_slots.c.slot < now - keep_for
    connection.execute(job_slots.delete().where(is_old))
    health_queries.delete_old(connection, lost=now - DAY, counts=now - 2 * DAY, samples=now - HOUR)
    delete_ended_rests(connection, before=now - DAY)
    journal_queries.delete_old(
        connection,
        senders_before=now - restore_detection.MEMORY,
        left_before=now - restore_detection.LEFT_MEMORY,
    )


def forget(connection: sa.Connection, services: Services, _now: Instant) -> None:
    """Go on with erasures that were interrupted, or whose last mail was on the wire."""
    resume_erasures(services, connection)


def retain(connection: sa.Connection, services: Services, now: Instant) -> None:
    """Delete the next rows that are older than their time."""
    playbook = services.playbooks.active(connection).playbook
    remove_old(connection, now=now, keep=compute_retention(services.settings.retention), playbook=playbook)


def answers(connection: sa.Connection, _services: Services, _now: Instant) -> None:
    """Note the feedback queue: replies may be overdue, and the people of early reports known by now."""
    note(connection, FEEDBACK, "")


def rest(connection: sa.Connection, services: Services, now: Instant) -> None:
    """Look at the next people who may have stopped reading."""
    sunset(connection, now=now, suppression_key=services.settings.suppression_secret)


def judge(connection: sa.Connection, _services: Services, _now: Instant) -> None:
    """Note the measurement queue: a new day may have begun, and a task of before may have failed."""
    note(connection, MEASUREMENT, "")


def count(connection: sa.Connection, services: Services, now: Instant) -> None:
    """Add the changes of mails and people to their days."""
    zone = services.playbooks.active(connection).playbook.default_zone
    fold_changes(connection, zone=zone, now=now)


JOBS = (
    Job("look", 5, look),
    Job("answers", 60, answers),
    Job("sunset", 60, rest),
    Job("tidy", 3600, tidy),
    Job("forget", 60, forget),
    Job("retain", 60, retain),
    Job("measure", 600, judge),
    Job("count", 60, count),
)


def tick(job: Job, services: Services) -> bool:
    """Run the job unless another process ran it in this slot; return whether it ran here."""
    now = services.clock.now()
    slot = now - now % (job.seconds * SECOND)

    def work(connection: sa.Connection) -> bool:
        if is_off(services.clock, connection):
            _log.error("this host's clock is minutes away from the database's; no tick until both agree")
            return False
        limit_lock_wait(connection)
        row = {"job": job.name, "slot": slot, "at": now}
        is_first = bulk.insert(connection, job_slots, [row], conflict=["job", "slot"], returning=["slot"])
        if is_first:
            job.effect(connection, services, now)
        failpoint("scheduler.ticked")
        return bool(is_first)

    return services.database.run(work)


def start_scheduler(services: Services) -> BaseScheduler:
    """Start ticking in a thread of this process and return the scheduler; `shutdown()` ends it."""
    scheduler = _scheduler(BackgroundScheduler, services)
    scheduler.start()
    return scheduler


def run_scheduler(services: Services) -> None:
    """Tick until INT or TERM: the process `nurture scheduler`."""
    scheduler = _scheduler(BlockingScheduler, services)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: scheduler.shutdown(wait=False))
    _log.info("ticking", jobs=[job.name for job in JOBS])
    scheduler.start()


def _scheduler(kind: type[BaseScheduler], services: Services) -> Any:
    scheduler = kind(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
    for job in JOBS:
        scheduler.add_job(
            _tick_safely,
            "interval",
            args=(job, services),
            seconds=job.seconds,
            misfire_grace_time=job.seconds,
        )
    return scheduler


def _tick_safely(job: Job, services: Services) -> None:
    try:
        tick(job, services)
    except Exception:  # noqa: BLE001 - a clock that stops helps nobody
        # The database may be away; the next tick makes it good.
        _log.exception("a tick failed", job=job.name)
