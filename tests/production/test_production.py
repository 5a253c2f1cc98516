"""Run a production installation under load and disruptions, and compare every mail with the expected ones.

PostgreSQL, Redis, an HTTP process, two workers, two schedulers and a mail server are processes of their own. 40,000
events come in; a worker gets SIGKILL every second; Redis is emptied, stopped and started; scheduler ticks run twice.
At the end every expected mail is there once, and no other mail.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nurture.app.installation import open_existing
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.runtime.clock import SystemClock, monotonic, pause
from nurture.runtime.settings import load_settings
from tests.production.compare import (
    Reckoning,
    faults_of_events,
    faults_of_runs,
    let_evidence_wait_pass,
    reckon,
    work_left,
)
from tests.production.disruptions import Disruptions
from tests.production.load import Load
from tests.production.people import Crowd, crowd
from tests.production.processes import Installation
from tests.rig.postgres import Postgres
from tests.rig.redis import Redis
from tests.rig.smtp import SmtpSink

#: In doubt are only mails of a killed process whose final dot had no reply: at most one per connection.
DOUBTS_PER_KILL = 8


@dataclass(frozen=True, slots=True)
class Size:
    """Number of events, number of kills, seed and patience."""

    events: int
    kills: int
    seed: int = 20_260
    #: The test fails after so many seconds without progress.
    patience: float = 90.0


@pytest.mark.long
@pytest.mark.faults
def test_every_mail_that_must_be_there_is_there_once(
    postgres: Postgres, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    size = Size(40_000, 80)
    people = crowd(size.events, now=SystemClock().now(), seed=size.seed)
    with running(postgres, tmp_path, smtp_sink) as (installation, broker, services):
        trial = Trial(size, people, installation, services, smtp_sink)
        trial.run(broker)
        faults = list(trial.faults())
        assert not faults, trial.report(faults)


@contextmanager
def running(
    postgres: Postgres, folder: Path, sink: SmtpSink
) -> Iterator[tuple[Installation, Redis, Services]]:
    """Yield a running installation, its Redis, and services that read its database."""
    name, broker = postgres.create(), Redis()
    installation = Installation(folder, postgres.url(name), broker.url, sink.url)
    try:
        installation.start()
        services = open_existing(load_settings(folder=folder, environment=installation.environment))
        try:
            yield installation, broker, services
        finally:
            services.close()
    finally:
        codes = installation.stop()
        broker.stop()
        postgres.drop(name)
    # The exit code of the HTTP server after SIGTERM is not the product's.
    assert {code for name, code in codes.items() if name != "api"} == {0}, codes


class Trial:
    """One run: the load, the disruptions and the comparison at the end."""

    def __init__(
        self, size: Size, people: Crowd, installation: Installation, services: Services, sink: SmtpSink
    ) -> None:
        """Prepare a run without events."""
        self.size, self.people = size, people
        self._installation, self._services, self._sink = installation, services, sink
        self.figures: dict[str, object] = {"seed": size.seed}
        self._found: list[str] = []
        # Ids of transactional mails that were seen waiting for evidence.
        self._waited: set[int] = set()

    @property
    def database(self) -> Database:
        """The installation's database."""
        return self._services.database

    def run(self, broker: Redis) -> None:
        """Hand in all events during the disruptions, then wait until the work is finished."""
        began = monotonic()
        load = Load(self.people, self._installation, self.database, self._sink, seconds=0.5 * self.size.kills)
        disruptions = Disruptions(
            self._installation, broker, self._services, kills=self.size.kills, seed=self.size.seed
        )
        load.start()
        try:
            # The first mail shows that the workers have started; killing them earlier would test little.
            self._sink.wait_for(1, seconds=self.size.patience)
            disruptions.run()
            self.figures["seconds of disruptions"] = round(monotonic() - began, 1)
            self._finish(load)
        finally:
            load.ended.set()
            load.join(90)
        if load.fault:
            self._found.append(f"handing in failed: {load.fault!r}")
        if disruptions.made["slots worked twice"]:
            self._found.append("a slot was worked twice")
        seconds = monotonic() - began
        self.figures |= {
            "seconds": round(seconds, 1),
            "events a second": round(self.size.events / seconds),
            "events handed in twice": load.repeated,
            "requests repeated": load.refused,
            "disruptions": dict(disruptions.made),
        }

    def _finish(self, load: Load) -> None:
        """Wait until no work is left; recovery from the journals settles the mails of killed workers."""
        last, since = None, monotonic()
        while monotonic() - since < self.size.patience:
            left = work_left(self.database, now=self._services.clock.now())
            if left.done and load.all_handed_in.is_set():
                return
            if left != last:
                last, since = left, monotonic()
            self._installation.supervise()
            if left.doubted:
                self._found += let_evidence_wait_pass(
                    self.database, self._waited, now=self._services.clock.now()
                )
            pause(0.3)
        self._found.append(f"not finished: {last}, everything handed in: {load.all_handed_in.is_set()}")

    def faults(self) -> Iterator[str]:
        """Yield a line for each difference from the expected state; the installation must still run."""
        yield from self._found
        stopped = [group.name for group in self._installation.others if not group.alive()]
        yield from (f"{name} has stopped" for name in stopped)
        reckoning = reckon(self.people, self.database, self._sink)
        self.figures |= reckoning.counts()
        sys.stdout.write(f"{self.figures}\n")
        yield from reckoning.faults()
        yield from self._of_doubts(reckoning)
        yield from faults_of_events(self.people, self.database)
        yield from faults_of_runs(self.people, self.database)
        for finding in self._installation.command("doctor"):
            if not finding["ok"]:
                yield f"doctor: {finding['check']}: {finding['detail']}"

    def _of_doubts(self, reckoning: Reckoning) -> Iterator[str]:
        hasty = reckoning.doubted_transactional() - self._waited
        yield from (f"message {number} in doubt was not seen waiting for evidence" for number in hasty)
        if reckoning.doubts.total() > DOUBTS_PER_KILL * self.size.kills:
            yield f"{reckoning.doubts.total()} doubts after {self.size.kills} kills"

    def report(self, faults: list[str]) -> str:
        """Return the text of a failure: seed, figures, faults and the end of every log."""
        shown = "\n".join(faults[:30])
        return f"{self.figures}\n{len(faults)} faults:\n{shown}\n{self._installation.logs()}"
