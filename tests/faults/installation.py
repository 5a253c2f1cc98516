"""An installation to break: a database with the shipped programme, a mail server, workers that are processes.

Everybody lives by one clock, kept in a file: a lease lapses when the test says so. After a scenario `faults` tells
everything that is not as it must be: the doctor's invariants, and what the people and the mail server know.
"""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.doctor import examine
from nurture.app.event_body import split_body
from nurture.app.ingest import read_items
from nurture.app.installation import open_existing
from nurture.contacts.accept import accept
from nurture.database import schema as t
from nurture.database.engine import encode
from nurture.domain.errors import Transient
from nurture.domain.instant import MINUTE, Duration, Instant, parse_iso
from nurture.runtime.clock import SystemClock, monotonic, pause
from nurture.runtime.settings import load_settings
from tests.architecture.sources import ROOT
from tests.delivery.worker import SharedClock
from tests.faults.worker import work
from tests.production.compare import faults_of_events, faults_of_runs, reckon, work_left
from tests.production.people import WELCOME, Crowd, Item, Mail, back_in_stock, crowd
from tests.production.processes import SOURCE, WRITE_KEY
from tests.rig import warm
from tests.rig.process import free_port
from tests.transports.chaos_smtp import ChaosSmtp, chaos
from tests.workers.installation import environment, eventually
from workers.context import make_context

T = TypeVar("T")

#: A Wednesday noon; people here live in UTC, so no quiet hours are near.
NOON: Instant = parse_iso("2026-03-11T12:00:00Z")
#: Longer than any lease, and longer than transactional mail in doubt waits for evidence.
LAPSE: Duration = 13 * MINUTE
_SECONDS_MAX = 120


def people(events: int, *, seed: int = 7, now: Instant = NOON) -> Crowd:
    """Return a crowd whose mails all follow from its events (nobody follows a link)."""
    made = crowd(events, now=now, seed=seed)
    expected = Counter[Mail]({mail: count for mail, count in made.expected.items() if mail[1] != WELCOME})
    return replace(made, expected=expected, confirming=[])


class Installation:
    """The installation."""

    def __init__(self, folder: Path, database_url: str, server: ChaosSmtp, **more: str) -> None:
        """Open it at NOON; the database is complete, with the programme published.

        more: other settings, or another way to the mail server.
        """
        self.folder, self.server = folder, server
        # Where the code of new workers is.
        self.tree = ROOT
        self._clock_file = folder / "clock"
        self.set(NOON)
        self.clock = SharedClock(self._clock_file)
        given = {"mail_url": server.url, "write_keys": f"{SOURCE}={WRITE_KEY}"} | more
        self.environment = environment(folder, database_url, **given)
        settings = load_settings(folder=folder, environment=self.environment)
        self.services = open_existing(settings, clock=self.clock)
        self.database = self.services.database

    # ---- time ------------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        """The instant everybody lives at."""
        return self.clock.now()

    def set(self, instant: Instant) -> None:
        """Let it be this instant."""
        new = self._clock_file.with_suffix(".new")
        new.write_text(str(instant))
        new.replace(self._clock_file)

    def later(self, duration: Duration) -> None:
        """Let time pass."""
        self.set(self.now + duration)

    # ---- what happens ----------------------------------------------------------------------------------

    def hand_in(self, items: list[Item]) -> None:
        """Put events into the inbox, in their order."""
        raw = encode({"batch": items}).encode()
        intake = read_items(split_body(raw), source=SOURCE, received_at=self.now)
        assert not intake.rejected, intake.rejected
        self.database.run(lambda connection: accept(connection, intake.events))

    def hand_in_all(self, crowd: Crowd) -> None:
        """Hand in everything the crowd does, and what all of it waits for."""
        self.hand_in(crowd.items)
        self.hand_in([back_in_stock(self.now)])

    @contextmanager
    def worker(
        self, failpoints: str = "", *, heavy: bool = False, stays: bool = False, tree: Path | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Give a worker that runs; killed at the end of the block if it still does.

        heavy: its letters are larger than any socket takes at once. stays: it goes on when nothing is due.
        tree: of another release.
        """
        command = ["tests.faults.worker", str(self._clock_file)]
        command += ["heavy"] * heavy + ["stays"] * stays
        given = self.environment | {"NURTURE_TEST_FAILPOINTS": failpoints}
        with self._started(command, tree or self.tree, given) as process:
            try:
                yield process
            finally:
                process.kill()

    @staticmethod
    def _started(command: list[str], tree: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        if tree == ROOT:
            return warm.start(command, imports=["tests.delivery.worker", "workers.context"], env=environment)
        return subprocess.Popen([sys.executable, "-m", *command], cwd=tree, env=environment)

    @contextmanager
    def api(self, failpoints: str = "") -> Iterator["tuple[str, subprocess.Popen[bytes]]"]:
        """Give the URL of an HTTP process that answers, and the process; killed at the end of the block."""
        port = free_port()
        own = {"NURTURE_TEST_FAILPOINTS": failpoints, "NURTURE_HTTP_PORT": str(port)}
        command = [sys.executable, "-m", "nurture.cli", "api"]
        with subprocess.Popen(
            command, cwd=ROOT, env=self.environment | own, stderr=subprocess.DEVNULL
        ) as process:
            url = f"http://127.0.0.1:{port}"
            try:
                assert eventually(lambda: _answers(url)), "the HTTP process did not start"
                yield url, process
            finally:
                process.kill()

    @contextmanager
    def scheduler(self, failpoints: str = "") -> Iterator["subprocess.Popen[bytes]"]:
        """Give a scheduler that runs, on real time; killed at the end of the block."""
        own = {"NURTURE_TEST_FAILPOINTS": failpoints}
        command = [sys.executable, "-m", "nurture.cli", "scheduler"]
        with subprocess.Popen(
            command, cwd=ROOT, env=self.environment | own, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def slots(self, job: str) -> list[Instant]:
        """Return the slots in which this job was done."""
        slot = t.job_slots.c
        with self.database.read() as connection:
            found = connection.scalars(sa.select(slot.slot).where(slot.job == job).order_by(slot.slot))
            return list(found)

    def work(self, failpoints: str = "", *, heavy: bool = False) -> int:
        """Let one worker work until nothing is due; returns how it ended (0, or minus the signal)."""
        with self.worker(failpoints, heavy=heavy) as process:
            return process.wait(_SECONDS_MAX)

    def is_killed_at(self, failpoint: str, *, at: int = 0) -> bool:
        """Let a worker work that is killed at the place; tells whether it came there."""
        return self.work(f"{failpoint}=kill" + (f"@{at}" if at else "")) == -signal.SIGKILL

    def work_here(self) -> None:
        """Do everything that is due in this process."""
        context = make_context(self.services)
        try:
            work(context)
        finally:
            for lane in context.lanes.values():
                lane.transport.close()

    def work_stubbornly(self, *, seconds: float = 100.0) -> int:
        """Work here until it is done, however often a room breaks off; returns how often one did.

        Each room is called again by itself, as tasks and poll threads are.
        """
        broke, until = 0, monotonic() + seconds

        def stubbornly(work: Callable[[], T]) -> T:
            nonlocal broke
            while True:
                try:
                    return work()
                except (Transient, SQLAlchemyError):
                    broke += 1
                    assert monotonic() < until, "no end of breaking off"
                    pause(0.05)

        context = stubbornly(lambda: make_context(self.services))
        try:
            work(context, each=stubbornly)
        finally:
            for lane in context.lanes.values():
                lane.transport.close()
        return broke

    def settle(self, *, rounds: int = 8) -> None:
        """Start a worker again, then let time pass and everything be done until nothing is left."""
        # A connection that was cut a moment ago is not yet old enough to be tried before its next use.
        self.database.writer.dispose()
        assert self.work() == 0
        for _ in range(rounds):
            left = work_left(self.database, now=self.now)
            if left.done and not self._put_off():
                break
            self.later(LAPSE)
            self.work_here()
        assert left.done, left

    def _put_off(self) -> bool:
        """Tell whether an alarm waits only because a process may have died of it."""
        soon = sa.select(
            sa.exists().where(t.contacts.c.wake_at <= self.now + LAPSE, t.contacts.c.survivor.is_(None))
        )
        with self.database.read() as connection:
            return bool(connection.scalar(soon))

    def ledger(self) -> list[object]:
        """Return every mail and every alarm as they stand."""
        m, c = t.messages.c, t.contacts.c
        with self.database.read() as connection:
            mails = connection.execute(sa.select(m.id, m.status, m.reason, m.due_at).order_by(m.id)).all()
            alarms = connection.execute(sa.select(c.id, c.wake_at).order_by(c.id)).all()
        return [*map(tuple, mails), *map(tuple, alarms)]

    # ---- what is there ---------------------------------------------------------------------------------

    def faults(self, crowd: Crowd | None = None) -> list[str]:
        """Return everything that is not as it must be."""
        found = [
            f"doctor: {finding['check']}: {finding['detail']}"
            for finding in examine(self.services)
            if not finding["ok"]
        ]
        if crowd is not None:
            found += reckon(crowd, self.database, self.server).faults()
            found += faults_of_events(crowd, self.database)
            found += faults_of_runs(crowd, self.database)
        return found

    def close(self) -> None:
        """Close the database."""
        self.services.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def opened(folder: Path, database_url: str, **more: str) -> Iterator[Installation]:
    """Give an installation with a mail server that takes everything until its script says otherwise."""
    taken = folder / "taken"
    taken.mkdir()
    with chaos({}, folder=taken) as server:
        installation = Installation(folder, database_url, server, **more)
        try:
            yield installation
        finally:
            installation.close()


def real_now() -> Instant:
    """Return this host's time, for scenarios with processes that take it themselves."""
    return SystemClock().now()
