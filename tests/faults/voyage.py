"""Simulate years of events and faults on virtual time, all drawn from one seed.

The product's own code runs; a seeded generator draws the environment: people, replies of mail servers, deaths of
the worker at any failpoint, days of downtime, events delivered twice and late, paused switches. The same seed gives
the same ledger, byte for byte. `python -m tests.faults.voyage --seed 7 --people 300 --days 120` repeats a run.
"""

import argparse
import hashlib
import random  # noqa: TID251 - seeded, so the same seed gives the same voyage
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import merge
from pathlib import Path
from time import process_time
from typing import Any

import sqlalchemy as sa

from nurture.app.doctor import examine
from nurture.app.installation import migrate
from nurture.app.services import Services
from nurture.consent.record import set_switch
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.types import Delivery
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, HOUR, MINUTE, Duration, Instant, parse_iso
from nurture.runtime import failpoints
from nurture.runtime.clock import ManualClock, monotonic
from nurture.runtime.settings import load_settings
from nurture.simulation.people import generate_inputs
from nurture.simulation.play import Input, Simulation
from nurture.simulation.reactions import Reactions
from nurture.simulation.run_until_idle import run_until_idle
from nurture.transports.registry import Transport
from nurture.transports.types import Outcome, OutgoingMail
from tests.workers.installation import environment
from workers.scheduler import JOBS, tick

START: Instant = parse_iso("2025-01-06T00:00:00Z")
#: Places where the worker may die here: those of one process without a mail server.
_PLACES = [
    place
    for place in failpoints.PLACES
    if place.partition(".")[0] in {"drain", "ring", "claim", "wire", "deliver", "recover", "identity"}
]


@dataclass(frozen=True, slots=True)
class Size:
    """Number of people, number of days, and the time between two ticks of the workers."""

    people: int
    days: int
    tick: Duration = HOUR

    def command(self, seed: int) -> str:
        """Return the command that repeats a voyage of this size."""
        minutes = self.tick // MINUTE
        return f"python -m tests.faults.voyage --seed {seed} --people {self.people} --days {self.days} --tick {minutes}"


class Death(BaseException):
    """The worker ended in the middle of an SMTP transaction."""


class DrawnMailServer:
    """A transport whose replies are drawn from a seed; counts the copies of each message that it accepted."""

    def __init__(self, seed: int) -> None:
        """Start without mails."""
        self._seed = seed
        self.copies: Counter[int] = Counter()
        self.bytes: dict[int, set[str]] = {}
        self.replies: Counter[str] = Counter()

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Accept, refuse, lose the connection or raise Death, as drawn for the message and its attempt."""
        for mail in mails:
            rng = random.Random(f"{self._seed}:{mail.message_id}:{mail.attempt}")
            kind, _, reply = _draw(rng, _REPLIES).partition(" ")
            self.replies[kind] += 1
            if kind in ("sent", "reply_lost", "dies_after"):
                self.copies[mail.message_id] += 1
                self.bytes.setdefault(mail.message_id, set()).add(hashlib.sha256(mail.data).hexdigest())
            if kind in ("dies_before", "dies_after"):
                raise Death(kind)
            yield _OUTCOMES[kind](mail, reply)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _outcome(result: str, stage: str, **more: Any) -> Any:
    return lambda mail, reply: Outcome(mail.message_id, mail.attempt, result, stage, reply, **more)  # type: ignore[arg-type]


#: Kind and text of a reply -> share of a thousand mails.
_REPLIES = {
    "sent 250": 925,
    "retry 451 4.3.0": 25,
    "unreached": 5,
    "slow 421 4.7.0": 3,
    "reply_lost": 8,
    "lost": 8,
    "nobody 550 5.1.1": 10,
    "refused 550 5.2.0": 5,
    "fault 535 5.7.8": 1,
    "dies_before": 5,
    "dies_after": 5,
}
_OUTCOMES = {
    "sent": _outcome("sent", "replied"),
    "retry": _outcome("retry", "rcpt"),
    "unreached": _outcome("retry", "connect"),
    "slow": _outcome("retry", "mail", slow=True),
    "reply_lost": _outcome("in_doubt", "dot"),
    "lost": _outcome("in_doubt", "dot"),
    "nobody": _outcome("failed", "rcpt", suppress=True),
    "refused": _outcome("failed", "rcpt"),
    "fault": _outcome("lane_paused", "mail"),
}
#: Incident at a tick -> share of a thousand ticks.
_INCIDENTS = {"calm": 930, "dies": 55, "asleep": 3, "paused": 4, "twice": 8}


def _instant(item: Input) -> Instant:
    return item.at


def _draw(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass
class Voyage:
    """One run of the simulation, with its installation."""

    size: Size
    seed: int
    services: Services
    clock: ManualClock
    server: DrawnMailServer = field(init=False)
    happened: Counter[str] = field(default_factory=Counter)
    # Called with the instant after every tick.
    progress: Callable[[Instant], None] | None = None
    _ticks: int = 0
    _lives: int = 0
    _resuming: bool = False

    def __post_init__(self) -> None:
        """Create the mail server, the delivery and the reactions of the people."""
        self.server = DrawnMailServer(self.seed)
        settings = self.services.settings
        self._delivery = Delivery(
            clock=self.clock,
            playbooks=self.services.playbooks,
            keys=self.services.keys,
            suppression_key=settings.suppression_secret,
            base_url=settings.public_url,
            worker="worker 0",
        )
        self._react = Reactions(self.seed, settings.suppression_secret, self.services.playbooks)

    def run(self) -> None:
        """Run all days with faults, then two days without, so that all work finishes."""
        end = START + self.size.days * DAY
        stage = Simulation(
            self.services.database,
            self._delivery,
            self.clock,
            {"main": self.server},
            tick=self.size.tick,
            react=self._reactions,
            run_until_idle=self._run_with_incident,
        )
        stage.play(self._inputs(), end, progress=self.progress)
        stage.react, stage.run_until_idle = None, self._run_until_survived
        self._resume(self.services.database, end)
        stage.play(iter(()), end + 2 * DAY)

    def _inputs(self) -> Iterator[Input]:
        """Yield the events of the people; one in twenty comes a second time, up to two days late."""
        inputs = list(generate_inputs(self.size.people, start=START, days=self.size.days, seed=self.seed))
        repeated = []
        for item in inputs:
            rng = random.Random(f"{self.seed}:{item.event.message_id if item.event else ''}")
            if item.event and rng.random() < 0.05:
                at = item.at + rng.randrange(int(2 * DAY))
                repeated.append(Input(at, event=replace(item.event, received_at=at)))
        repeated.sort(key=_instant)
        self.happened["delivered twice"] = len(repeated)
        end = START + self.size.days * DAY
        yield from (item for item in merge(inputs, repeated, key=_instant) if item.at < end)

    # ---- a tick ----------------------------------------------------------------------------------------

    def _run_with_incident(self, database: Database, _: Delivery, lanes: Mapping[str, Transport]) -> Counts:
        self._ticks += 1
        rng = random.Random(f"{self.seed}:tick:{self._ticks}")
        incident = _draw(rng, _INCIDENTS)
        self.happened[incident] += 1
        if incident == "asleep":
            # Nothing runs; events handed in during this time wait in the inbox.
            self.clock.advance_to(self.clock.now() + rng.randrange(1, 73) * HOUR)
            return Counts()
        if incident == "dies":
            failpoints.arm(f"{rng.choice(_PLACES)}=raise@{rng.choice((1, 1, 1, 2, 3))}")
        elif incident == "paused":
            self._press(database, paused=True, name="all", now=self.clock.now())
        elif incident == "twice":
            self._run_until_survived(database, self._delivery, lanes)
        try:
            return self._run_until_survived(database, self._delivery, lanes)
        finally:
            failpoints.arm("")

    def _run_until_survived(self, database: Database, _: Delivery, lanes: Mapping[str, Transport]) -> Counts:
        """Run the workers; when one dies, start the next one, until one gets past the armed failpoint."""
        for _life in range(40):
            try:
                return self._work(database, lanes)
            except (failpoints.Broken, Death) as death:
                self.happened[f"died: {type(death).__name__}"] += 1
                self._lives += 1
                self._delivery = replace(self._delivery, worker=f"worker {self._lives}")
        message = "forty workers died in one tick"
        raise AssertionError(message)

    def _work(self, database: Database, lanes: Mapping[str, Transport]) -> Counts:
        """Do the work of workers and schedulers: drain, send, and run every scheduled job."""
        done = run_until_idle(database, self._delivery, lanes)
        for job in JOBS:
            tick(job, self.services)
        return done

    def _reactions(self, database: Database, now: Instant) -> Iterable[Input]:
        reactions = list(self._react(database, now))
        with database.read() as connection:
            off = connection.scalars(sa.select(t.switches.c.name).where(t.switches.c.paused)).all()
        if off and not self._resuming:
            self._resuming = True
            at = now + (1 + self._ticks % 7) * HOUR
            reactions.append(Input(at, act=self._resume_all))
        return reactions

    def _press(self, database: Database, *, paused: bool, name: str, now: Instant) -> None:
        database.run(
            lambda connection: set_switch(
                connection, name, paused=paused, reason="voyage", actor="operator", now=now
            )
        )

    def _resume(self, database: Database, now: Instant) -> None:
        database.run(lambda connection: self._resume_all(connection, now))

    def _resume_all(self, connection: sa.Connection, now: Instant) -> None:
        self._resuming = False
        for name in connection.scalars(sa.select(t.switches.c.name).where(t.switches.c.paused)).all():
            set_switch(connection, name, paused=False, reason="voyage", actor="operator", now=now)

    # ---- afterwards ------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Return a line for each failed check of doctor and each message with a wrong number of copies."""
        people = self.size.people
        failed = [
            f"doctor: {check['check']}: {check['detail']}"
            for check in examine(self.services, replayed=people)
            if not check["ok"]
        ]
        return failed + list(self._of_copies())

    def _of_copies(self) -> Iterator[str]:
        m, a = t.messages.c, t.attempts.c
        doubted = (
            sa.select(a.message_id, sa.func.count()).where(a.outcome == "in_doubt").group_by(a.message_id)
        )
        with self.services.database.read() as connection:
            ledger = connection.execute(sa.select(m.id, m.purpose, m.status)).all()
            doubts = {row[0]: row[1] for row in connection.execute(doubted)}
        known = {row.id for row in ledger}
        yield from (
            f"nobody decided message {number}" for number in self.server.copies if number not in known
        )
        for row in ledger:
            copies, doubt = self.server.copies[row.id], doubts.get(row.id, 0)
            most = 1 + doubt if row.purpose == "transactional" else 1
            least = 1 if row.status == "sent" else 0
            if not least <= copies <= most:
                yield f"message {row.id} ({row.purpose}, {row.status}): {copies} copies, {doubt} doubts"
            if len(self.server.bytes.get(row.id, ())) > 1:
                yield f"message {row.id}: copies differ"

    def digest(self) -> str:
        """Return a hash of every row in the database."""
        digest = hashlib.sha256()
        with self.services.database.read() as connection:
            for table in t.metadata.sorted_tables:
                if table.name in _TABLES_OUTSIDE_DIGEST:
                    continue
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
                for row in rows:
                    digest.update(repr((table.name, tuple(row))).encode())
        return digest.hexdigest()

    def summarize(self) -> str:
        """Return the numbers of events, mails, replies and incidents in one line."""
        with self.services.database.read() as connection:
            statuses = connection.execute(
                sa.select(t.messages.c.status, sa.func.count()).group_by(t.messages.c.status)
            )
            mails = {row[0]: row[1] for row in statuses}
            events = connection.scalar(sa.select(sa.func.count()).select_from(t.events))
        return f"{events} events, mails {mails}, replies {dict(self.server.replies)}, happened {dict(self.happened)}"


#: Tables whose rows depend on files and the host, not on the seed.
_TABLES_OUTSIDE_DIGEST = {"meta", "playbooks"}


def voyage(
    folder: Path, size: Size, seed: int, *, progress: Callable[[Instant], None] | None = None
) -> tuple[Voyage, Services]:
    """Run a voyage on a private SQLite file and return it with its services; the caller closes the services.

    Deaths are exceptions, no process ends, so the file need not survive one (`keeps=False`).
    """
    clock = ManualClock(START)
    url = f"sqlite:///{folder / 'voyage.db'}"
    services = migrate(
        load_settings(folder=folder, environment=environment(folder, url)), clock=clock, keeps=False
    )
    with services.database.write() as connection:
        # The simulated people look for mail just sent to them; the product has no such query and no such index.
        connection.exec_driver_sql("CREATE INDEX of_the_voyage ON messages (sent_at)")
    made = Voyage(size, seed, services, clock, progress=progress)
    made.run()
    return made, services


def _print_progress(began: float) -> Callable[[Instant], None]:
    """Return a function that prints the day and the time used to standard error, once per virtual month."""
    last_printed = START

    def print_month(at: Instant) -> None:
        nonlocal last_printed
        if at - last_printed >= 30 * DAY:
            last_printed = at
            day, spent = (at - START) // DAY, process_time()
            sys.stderr.write(f"day {day}: {spent:.0f} s of processor time, {monotonic() - began:.0f} s\n")

    return print_month


def main() -> int:
    """Repeat a voyage; exit 1 when it has a fault."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, default in (("seed", 7), ("people", 10_000), ("days", 730), ("tick", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="nurture-voyage-") as folder:
        size = Size(options.people, options.days, options.tick * MINUTE)
        made, services = voyage(Path(folder), size, options.seed, progress=_print_progress(began))
        faults = made.faults()
        lines = [made.summarize(), f"digest {made.digest()}", f"{monotonic() - began:.0f} s", *faults]
        sys.stdout.write("\n".join(lines) + "\n")
        services.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
