"""Clocks jump, workers stop and wake, nothing runs for days: no early mail, no double, no flood."""

import os
import signal
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.doctor import examine
from nurture.app.installation import migrate
from nurture.database import schema as t
from nurture.database.engine import open_database
from nurture.domain.instant import DAY, HOUR, SECOND, Duration, Instant
from nurture.runtime.clock import ManualClock
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Input, Simulation
from nurture.simulation.transport import Outlet
from tests.delivery.worker import SharedClock
from tests.faults.installation import LAPSE, Installation, opened, people
from tests.faults.voyage import START
from tests.faults.worker import work
from tests.workers.installation import eventually, settings_of
from workers import loops
from workers.context import make_context
from workers.scheduler import JOBS, tick

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 120


@dataclass
class Jumped:
    """A host whose clock has jumped, beside a database whose clock has not."""

    true: SharedClock
    jump: Duration

    def now(self) -> Instant:
        return self.true.now() + self.jump

    def lease_now(self, connection: sa.Connection) -> Instant:
        return self.true.lease_now(connection)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 3650 * DAY], ids=["+1 h", "-1 h", "+10 y"])
def test_a_worker_whose_clock_has_jumped_works_on_nothing(
    installation: Installation, jump: Duration, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    installation.hand_in_all(crowd)
    loops.apply(make_context(installation.services))
    clock = Jumped(installation.clock, jump)
    services = replace(installation.services, clock=clock)
    before = installation.ledger()
    work(make_context(services))
    assert not any(tick(job, services) for job in JOBS)
    assert installation.ledger() == before
    assert installation.server.accepted == []
    clock.jump = 2 * SECOND
    assert tick(JOBS[0], services)
    installation.settle()
    assert installation.faults(crowd) == []


def test_a_stopped_worker_lets_go_of_its_locks_and_finds_its_work_done(
    postgresql_installation_url: str, tmp_path: Path, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    # As in production, where it is minutes.
    url = f"{postgresql_installation_url}?options=-c%20idle_in_transaction_session_timeout%3D1s"
    with opened(tmp_path, url) as installation:
        installation.hand_in_all(crowd)
        with installation.worker("drain.applied=stop@1") as zombie:
            os.waitpid(zombie.pid, os.WUNTRACED)
            assert eventually(lambda: not _holds_locks(installation)), (
                "what a stopped process holds is held for ever"
            )
            installation.settle()
            os.kill(zombie.pid, signal.SIGCONT)
            assert zombie.wait(60) == 0
        installation.later(LAPSE)
        installation.settle()
        assert installation.faults(crowd) == []


def _holds_locks(installation: Installation) -> bool:
    statement = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    with installation.database.read() as connection:
        return bool(connection.scalar(sa.text(statement)))


def test_our_sessions_say_how_long_they_may_lie_idle(postgresql_installation_url: str) -> None:
    database = open_database(postgresql_installation_url)
    with database.write() as connection:
        assert connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "2min"
    database.close()


@pytest.mark.parametrize("schedulers", [2, 5])
def test_of_many_schedulers_one_is_stopped_in_its_tick_and_each_slot_is_done_once(
    postgresql_installation: Installation, schedulers: int
) -> None:
    installation = postgresql_installation
    with ExitStack() as stack:
        stopped = stack.enter_context(installation.scheduler("scheduler.ticked=stop"))
        os.waitpid(stopped.pid, os.WUNTRACED)
        for _ in range(schedulers - 1):
            stack.enter_context(installation.scheduler())
        assert eventually(lambda: len(installation.slots("look")) >= 3), (
            "nobody ticks while one holds its slot"
        )
        slots = installation.slots("look")
        assert len(slots) == len(set(slots))


def test_three_days_of_downtime_end_without_a_flood(tmp_path: Path, seed: int) -> None:
    """The same people live twice; in one life nothing runs from the 20th day to the 23rd."""
    mails = {}
    for life in ("awake", "asleep"):
        folder = tmp_path / life
        folder.mkdir()
        clock = ManualClock(START)
        services = migrate(settings_of(folder, f"sqlite:///{folder / 'life.db'}"), clock=clock)
        inputs = generate_inputs(200, start=START, days=26, seed=seed)
        stage = Simulation(services.database, make_context(services).delivery, clock, {"main": Outlet()})
        early: list[Input] = []
        late: list[Input] = []
        for item in inputs:
            (early if item.at < START + 20 * DAY else late).append(item)
        stage.play(iter(early), START + 20 * DAY)
        woke = clock.now()
        if life == "asleep":
            # Events handed in meanwhile lie in the inbox when the workers come back.
            woke += 3 * DAY
            clock.advance_to(woke)
        stage.play(iter(late), START + 26 * DAY)
        with services.database.read() as connection:
            ledger = connection.execute(sa.select(t.messages)).all()
        assert [check for check in examine(services, replayed=60) if not check["ok"]] == []
        sent = [row for row in ledger if row.sent_at is not None]
        assert all(row.sent_at <= row.valid_until for row in sent), "sent although it was too late"
        at_once = Counter(row.contact_id for row in sent if row.topic and woke <= row.sent_at < woke + HOUR)
        mails[life] = (
            len(sent),
            sum(row.status == "expired" for row in ledger),
            max(at_once.values(), default=0),
        )
        services.close()
    awake, asleep = mails["awake"], mails["asleep"]
    # Less, never more: what missed its time is dropped with that reason, and nobody gets two at once.
    assert asleep[0] <= awake[0]
    assert asleep[1] > awake[1]
    assert asleep[2] <= 1
