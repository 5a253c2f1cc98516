"""The clock: every few seconds a tick, and any number of schedulers may tick.

APScheduler only says when. Each tick inserts its (job, slot) row in the transaction of its effect; who comes
second finds the row and does nothing. Bells are rung after the commit. Nothing is kept in memory that a
restart would miss: what is due stands in the database.
"""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

from nurture.app.privacy import resume_erasures
from nurture.app.services import Services
from nurture.database import bulk
from nurture.database.engine import limit_lock_wait
from nurture.database.schema import job_slots
from nurture.delivery.journal import queries as journal_queries
from nurture.delivery.journal import restore_detection
from nurture.domain.instant import DAY, SECOND, Instant
from nurture.domain.retention import kept
from nurture.feedback import clicks
from nurture.feedback.sunset import sunset
from nurture.journey.retention import retain as remove_old
from nurture.reports.backlog import busy_shards
from nurture.runtime.clock import is_off
from nurture.runtime.failpoints import failpoint
from nurture.runtime.log import get_logger
from nurture.transports.registry import open_lanes
from workers.queues import ADVANCE, DELIVER, FEEDBACK, INBOX

_log = get_logger("scheduler")

#: What a tick asks for after its commit: (queue, key).
Rings = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done once in every stretch of time."""

    name: str
    # Length of the stretch; it begins at multiples of this since 1970.
    seconds: int
    # Does the work in the tick's transaction and returns whom to ring afterwards.
    effect: Callable[[sa.Connection, Services, Instant], Rings]


def look(connection: sa.Connection, services: Services, now: Instant) -> Rings:
    """Ring wherever something may be due: a bell that was lost is made good."""
    shards = [(INBOX, str(shard)) for shard in busy_shards(connection)]
    if clicks.is_due(connection, now=now):
        shards.append((FEEDBACK, ""))
    lanes = [(DELIVER, lane) for lane in open_lanes(services.settings.mail_url)]
    return [*shards, (ADVANCE, ""), *lanes]


def tidy(connection: sa.Connection, _services: Services, now: Instant) -> Rings:
    """Forget the slots of yesterday, and who followed links the day before."""
    clicks.forget(connection, now=now)
    connection.execute(job_slots.delete().where(job_slots.c.slot < now - DAY))
    journal_queries.forget(
        connection,
        senders_before=now - restore_detection.MEMORY,
        left_before=now - restore_detection.LEFT_MEMORY,
    )
    return ()


def forget(connection: sa.Connection, services: Services, _now: Instant) -> Rings:
    """Go on with erasures that were interrupted, or whose last mail was on the wire."""
    resume_erasures(services, connection)
    return ()


def retain(connection: sa.Connection, services: Services, now: Instant) -> Rings:
    """Remove the next of what is older than it has to be."""
    playbook = services.playbooks.active(connection).playbook
    remove_old(connection, now=now, keep=kept(services.settings.retention), playbook=playbook)
    return ()


def answers(_connection: sa.Connection, _services: Services, _now: Instant) -> Rings:
    """Ring for dialogues that may be overdue and reports whose person may be known by now."""
    return ((FEEDBACK, ""),)


def rest(connection: sa.Connection, services: Services, now: Instant) -> Rings:
    """Look at the next people who may have stopped reading."""
    done = sunset(connection, now=now, suppression_key=services.settings.suppression_secret)
    return [(INBOX, str(shard)) for shard in done.shards]


JOBS = (
    Job("look", 5, look),
    Job("answers", 60, answers),
    Job("sunset", 60, rest),
    Job("tidy", 3600, tidy),
    Job("forget", 60, forget),
    Job("retain", 60, retain),
)


def tick(job: Job, services: Services) -> bool:
    """Do the job unless somebody did it in this slot already; tell whether it was done here."""
    now = services.clock.now()
    slot = now - now % (job.seconds * SECOND)

    def work(connection: sa.Connection) -> Rings | None:
        if is_off(services.clock, connection):
            _log.error("this host's clock is minutes away from the database's; no tick until both agree")
            return None
        limit_lock_wait(connection)
        row = {"job": job.name, "slot": slot, "at": now}
        first = bulk.insert(connection, job_slots, [row], conflict=["job", "slot"], returning=["slot"])
        rings = job.effect(connection, services, now) if first else None
        failpoint("scheduler.ticked")
        return rings

    rings = services.database.run(work)
    for queue, key in rings or ():
        services.bells.ring(queue, key)
    return rings is not None


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
