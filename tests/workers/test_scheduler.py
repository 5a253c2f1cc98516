"""Any number of schedulers tick; each slot is done once."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.notifications import note
from nurture.database.schema import experiments, inbox, job_slots, touches
from nurture.domain.bot_detection import JUDGED_AFTER
from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND, Instant
from nurture.playbook import PublishedPlaybooks, load_files, publish
from nurture.runtime.clock import ManualClock
from tests.rig.notifier import RecordingNotifier
from tests.scenarios.world import SHIPPED
from tests.workers.installation import bare, settings_of
from workers import loops
from workers.context import make_context
from workers.scheduler import JOBS, Job, look, tick, tidy

NOW = 1_000 * HOUR


def services_of(database: Database, folder: Path, clock: ManualClock) -> tuple[Services, RecordingNotifier]:
    notifier = RecordingNotifier()
    settings = settings_of(folder, "sqlite:///unused.db", mail_url="main=maildir:a bulk=maildir:b")
    return bare(database, settings, clock=clock).notifying(notifier), notifier


def test_many_schedulers_do_a_slot_once(database: Database, tmp_path: Path) -> None:
    services, notifier = services_of(database, tmp_path, ManualClock(NOW))
    job = Job("count", 60, lambda connection, _services, now: note(connection, "inbox", str(now)))
    barrier = Barrier(6)

    def race() -> None:
        barrier.wait()
        tick(job, services)

    threads = [Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notifier.notifications == [("inbox", str(NOW))]


def test_slot_follows_the_clock_and_none_is_made_up_for(database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    services, _ = services_of(database, tmp_path, clock)
    job = Job("count", 60, lambda *_: None)
    assert [tick(job, services), tick(job, services)] == [True, False]
    clock.advance_to(NOW + 59 * SECOND)
    assert not tick(job, services)
    clock.advance_to(NOW + HOUR)
    assert [tick(job, services), tick(job, services)] == [True, False]


def test_effect_that_fails_leaves_its_slot_to_the_next(database: Database, tmp_path: Path) -> None:
    services, _ = services_of(database, tmp_path, ManualClock(NOW))

    def fail(_connection: sa.Connection, _services: Services, _now: Instant) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        tick(Job("job", 60, fail), services)
    assert tick(Job("job", 60, lambda *_: None), services)


def test_look_notifies_busy_shards_alarms_and_every_lane(database: Database, tmp_path: Path) -> None:
    services, notifier = services_of(database, tmp_path, ManualClock(NOW))
    event = {"source": "s", "kind": "track", "name": "X", "occurred_at": 0, "received_at": 0, "body": "{}"}
    with database.write() as connection:
        rows = [event | {"shard": shard, "message_id": str(number)} for number, shard in enumerate((5, 5, 9))]
        connection.execute(inbox.insert(), rows)
    assert tick(Job("look", 5, look), services)
    expected = [("inbox", "5"), ("inbox", "9"), ("advance", ""), ("deliver", "main"), ("deliver", "bulk")]
    assert Counter(notifier.notifications) == Counter(expected)


def test_measures_are_judged_once_a_day_whatever_notifies(database: Database, tmp_path: Path) -> None:
    services, notifier = services_of(database, tmp_path, ManualClock(NOW))
    (job,) = (job for job in JOBS if job.name == "measure")
    assert tick(job, services)
    assert notifier.notifications == [("measurement", "")]
    publish(database, load_files(SHIPPED), now=NOW, actor="ann")
    context = make_context(replace(services, playbooks=PublishedPlaybooks()))
    assert loops.measure(context)["judged"] == len(services_measures(database))
    assert loops.measure(context).total() == 0


def services_measures(database: Database) -> list[str]:
    """Return the measures that are experiments."""
    with database.read() as connection:
        return list(connection.scalars(sa.select(experiments.c.measure)))


def test_look_notifies_of_clicks_that_are_old_enough_to_be_judged(database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    services, notifier = services_of(database, tmp_path, clock)
    with database.write() as connection:
        row = {"message_id": 1, "kind": "click", "link": "", "at": NOW, "agent": "browser"}
        connection.execute(touches.insert(), [row])
    assert tick(Job("look", 5, look), services)
    assert ("feedback", "") not in notifier.notifications
    clock.advance_to(NOW + JUDGED_AFTER)
    assert tick(Job("look", 5, look), services)
    assert ("feedback", "") in notifier.notifications


def test_tidy_forgets_old_slots(database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    services, _ = services_of(database, tmp_path, clock)
    job = Job("count", 60, lambda *_: None)
    tick(job, services)
    clock.advance_to(NOW + 2 * DAY)
    tick(job, services)
    tick(Job("tidy", 3600, tidy), services)
    with database.read() as connection:
        left = connection.execute(sa.select(job_slots.c.job, job_slots.c.slot)).all()
    later = NOW + 2 * DAY
    assert {tuple(row) for row in left} == {("count", later - later % MINUTE), ("tidy", later - later % HOUR)}
