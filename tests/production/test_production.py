"""A production installation under load while everything around it goes wrong.

PostgreSQL, Redis, an HTTP process, two workers, two schedulers and a mail server, each a process of its own;
20,000 events come in, a worker is killed with -9 every second, Redis is emptied, goes and comes back, ticks
happen twice. In the end every mail that must be there is there once, and nothing else.
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
from tests.production.disruptions import Trouble
from tests.production.load import Feeding
from tests.production.people import Crowd, crowd
from tests.production.processes import Installation
from tests.rig.postgres import Postgres
from tests.rig.redis import Redis
from tests.rig.smtp import SmtpSink

#: Of what a killed process held only final dots without a reply are in doubt: one a connection.
DOUBTS_PER_KILL = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How much comes in, and how often a worker is killed."""

    events: int
    kills: int
    seed: int = 20_260
    #: After so many seconds in which nothing got less, it will not any more.
    patience: float = 90.0


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(20_000, 25), id="whole"),
        # The same and more: where this one is run, the other one shows nothing new.
        pytest.param(Size(40_000, 80), id="long", marks=[pytest.mark.long, pytest.mark.faults]),
    ],
)
def test_every_mail_that_must_be_there_is_there_once(
    size: Size, postgres: Postgres, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    people = crowd(size.events, now=SystemClock().now(), seed=size.seed)
    with running(postgres, tmp_path, smtp_sink) as (installation, broker, services):
        story = Story(size, people, installation, services, smtp_sink)
        story.live(broker)
        faults = list(story.faults())
        assert not faults, story.told(faults)


@contextmanager
def running(
    postgres: Postgres, folder: Path, sink: SmtpSink
) -> Iterator[tuple[Installation, Redis, Services]]:
    """Give an installation that works, its Redis, and services that look into its database."""
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
    # What HTTP's server does after TERM is its own affair.
    assert {code for name, code in codes.items() if name != "api"} == {0}, codes


class Story:
    """One run: what is handed in, what goes wrong meanwhile, what came of it."""

    def __init__(
        self, size: Size, people: Crowd, installation: Installation, services: Services, sink: SmtpSink
    ) -> None:
        """Begin with nothing handed in."""
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

    def live(self, broker: Redis) -> None:
        """Hand everything in while it goes wrong, then let it finish."""
        began = monotonic()
        feeding = Feeding(
            self.people, self._installation, self.database, self._sink, seconds=0.5 * self.size.kills
        )
        trouble = Trouble(
            self._installation, broker, self._services, kills=self.size.kills, seed=self.size.seed
        )
        feeding.start()
        try:
            # Killing programs that are still being loaded would prove little.
            self._sink.wait_for(1, seconds=self.size.patience)
            trouble.make()
            self.figures["trouble seconds"] = round(monotonic() - began, 1)
            self._finish(feeding)
        finally:
            feeding.ended.set()
            feeding.join(90)
        if feeding.fault:
            self._found.append(f"handing in failed: {feeding.fault!r}")
        if trouble.made["slots worked twice"]:
            self._found.append("a slot was worked twice")
        seconds = monotonic() - began
        self.figures |= {
            "seconds": round(seconds, 1),
            "events a second": round(self.size.events / seconds),
            "events handed in twice": feeding.repeated,
            "requests repeated": feeding.refused,
            "trouble": dict(trouble.made),
        }

    def _finish(self, feeding: Feeding) -> None:
        """Wait until nothing is left to do; what killed workers held is taken up by their journals."""
        last, since = None, monotonic()
        while monotonic() - since < self.size.patience:
            left = work_left(self.database, now=self._services.clock.now())
            if left.done and feeding.told.is_set():
                return
            if left != last:
                last, since = left, monotonic()
            self._installation.supervise()
            if left.doubted:
                self._found += let_evidence_wait_pass(
                    self.database, self._waited, now=self._services.clock.now()
                )
            pause(0.3)
        self._found.append(f"not finished: {last}, everything handed in: {feeding.told.is_set()}")

    def faults(self) -> Iterator[str]:
        """Yield everything that is not as it must be; run with everything still running."""
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

    def told(self, faults: list[str]) -> str:
        """Return what a reader of the failure needs: seed, figures, faults, the end of every log."""
        shown = "\n".join(faults[:30])
        return f"{self.figures}\n{len(faults)} faults:\n{shown}\n{self._installation.logs()}"
