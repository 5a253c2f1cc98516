"""A long run on virtual time: people live for years while everything breaks, all of it drawn from one seed.

The rooms are the product's own; only what is outside is drawn: people, mail servers, deaths of the worker at any
failpoint, days on which nothing runs, events told twice and late, switches pressed. The same seed gives the same
ledger, byte for byte. `python -m tests.faults.voyage --seed 7 --people 300 --days 120` repeats one by hand.
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
from nurture.simulation.people import lives
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
    """How many live how long, and how late a mail may be handed over."""

    people: int
    days: int
    tick: Duration = HOUR

    def command(self, seed: int) -> str:
        """Return what repeats a voyage of this size."""
        minutes = self.tick // MINUTE
        return f"python -m tests.faults.voyage --seed {seed} --people {self.people} --days {self.days} --tick {minutes}"


class Death(BaseException):
    """The worker ended in the middle of a conversation."""


class Sea:
    """A mail server with moods; keeps how many copies of each message it took."""

    def __init__(self, seed: int) -> None:
        """Draw from this seed."""
        self._seed = seed
        self.copies: Counter[int] = Counter()
        self.bytes: dict[int, set[str]] = {}
        self.moods: Counter[str] = Counter()

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Take, refuse, or fall silent."""
        for mail in mails:
            rng = random.Random(f"{self._seed}:{mail.message_id}:{mail.attempt}")
            mood, _, reply = _draw(rng, _MOODS).partition(" ")
            self.moods[mood] += 1
            if mood in ("sent", "unheard", "dies_after"):
                self.copies[mail.message_id] += 1
                self.bytes.setdefault(mail.message_id, set()).add(hashlib.sha256(mail.data).hexdigest())
            if mood in ("dies_before", "dies_after"):
                raise Death(mood)
            yield _OUTCOMES[mood](mail, reply)

    def close(self) -> None:
        """Nothing is held."""


def _outcome(result: str, stage: str, **more: Any) -> Any:
    return lambda mail, reply: Outcome(mail.message_id, mail.attempt, result, stage, reply, **more)  # type: ignore[arg-type]


#: Mood and reply -> how many of a thousand mails.
_MOODS = {
    "sent 250": 925,
    "retry 451 4.3.0": 25,
    "unreached": 5,
    "slow 421 4.7.0": 3,
    "unheard": 8,
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
    "unheard": _outcome("in_doubt", "dot"),
    "lost": _outcome("in_doubt", "dot"),
    "nobody": _outcome("failed", "rcpt", suppress=True),
    "refused": _outcome("failed", "rcpt"),
    "fault": _outcome("lane_paused", "mail"),
}
#: Incident at a tick -> how many of a thousand ticks.
_WEATHER = {"calm": 930, "dies": 55, "asleep": 3, "paused": 4, "twice": 8}


def _draw(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass
class Voyage:
    """One run."""

    size: Size
    seed: int
    services: Services
    clock: ManualClock
    sea: Sea = field(init=False)
    happened: Counter[str] = field(default_factory=Counter)
    # Told of the instant after every tick.
    progress: Callable[[Instant], None] | None = None
    _ticks: int = 0
    _lives: int = 0
    _resuming: bool = False

    def __post_init__(self) -> None:
        """Set out."""
        self.sea = Sea(self.seed)
        settings = self.services.settings
        self._delivery = Delivery(
            clock=self.clock,
            playbooks=self.services.playbooks,
            keys=self.services.keys,
            suppression_key=settings.suppression_secret,
            base_url=settings.public_url,
            worker="worker 0",
        )
        self._react = Reactions(seed=self.seed, suppression_key=settings.suppression_secret)

    def sail(self) -> None:
        """Live through it, to the end, and then two days more in which nothing breaks."""
        end = START + self.size.days * DAY
        stage = Simulation(
            self.services.database,
            self._delivery,
            self.clock,
            {"main": self.sea},
            tick=self.size.tick,
            react=self._reactions,
            run_until_idle=self._turn,
        )
        stage.play(self._inputs(), end, progress=self.progress)
        stage.react, stage.run_until_idle = None, self._safely
        self._resume(self.services.database, end)
        stage.play(iter(()), end + 2 * DAY)

    def _inputs(self) -> Iterator[Input]:
        """Yield what people do; some of it is told twice, up to two days late."""
        given = list(lives(self.size.people, start=START, days=self.size.days, seed=self.seed))
        again = []
        for one in given:
            rng = random.Random(f"{self.seed}:{one.event.message_id if one.event else ''}")
            if one.event and rng.random() < 0.05:
                at = one.at + rng.randrange(int(2 * DAY))
                again.append(Input(at, event=replace(one.event, received_at=at)))
        again.sort(key=lambda one: one.at)
        self.happened["told twice"] = len(again)
        end = START + self.size.days * DAY
        yield from (one for one in merge(given, again, key=lambda one: one.at) if one.at < end)

    # ---- a tick ----------------------------------------------------------------------------------------

    def _turn(self, database: Database, _: Delivery, lanes: Mapping[str, Transport]) -> Counts:
        self._ticks += 1
        rng = random.Random(f"{self.seed}:tick:{self._ticks}")
        weather = _draw(rng, _WEATHER)
        self.happened[weather] += 1
        if weather == "asleep":
            # Nothing runs; what is handed in meanwhile waits.
            self.clock.advance_to(self.clock.now() + rng.randrange(1, 73) * HOUR)
            return Counts()
        if weather == "dies":
            failpoints.arm(f"{rng.choice(_PLACES)}=raise@{rng.choice((1, 1, 1, 2, 3))}")
        elif weather == "paused":
            self._press(database, paused=True, name="all", now=self.clock.now())
        elif weather == "twice":
            self._safely(database, self._delivery, lanes)
        try:
            return self._safely(database, self._delivery, lanes)
        finally:
            failpoints.arm("")

    def _safely(self, database: Database, _: Delivery, lanes: Mapping[str, Transport]) -> Counts:
        """Work; when the worker dies another one takes over, at the latest when this place lets it through."""
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
        """Do the work of workers and schedulers: notify, remove what is past retention, and keep the rest."""
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
        """Return everything that is not as it must be."""
        people = self.size.people
        found = [
            f"doctor: {each['check']}: {each['detail']}"
            for each in examine(self.services, replayed=people)
            if not each["ok"]
        ]
        return found + list(self._of_copies())

    def _of_copies(self) -> Iterator[str]:
        m, a = t.messages.c, t.attempts.c
        doubted = (
            sa.select(a.message_id, sa.func.count()).where(a.outcome == "in_doubt").group_by(a.message_id)
        )
        with self.services.database.read() as connection:
            ledger = connection.execute(sa.select(m.id, m.purpose, m.status)).all()
            doubts = {row[0]: row[1] for row in connection.execute(doubted)}
        known = {row.id for row in ledger}
        yield from (f"nobody decided message {number}" for number in self.sea.copies if number not in known)
        for row in ledger:
            copies, doubt = self.sea.copies[row.id], doubts.get(row.id, 0)
            most = 1 + doubt if row.purpose == "transactional" else 1
            least = 1 if row.status == "sent" else 0
            if not least <= copies <= most:
                yield f"message {row.id} ({row.purpose}, {row.status}): {copies} copies, {doubt} doubts"
            if len(self.sea.bytes.get(row.id, ())) > 1:
                yield f"message {row.id}: copies differ"

    def digest(self) -> str:
        """Return a hash of every row that the voyage left behind."""
        digest = hashlib.sha256()
        with self.services.database.read() as connection:
            for table in t.metadata.sorted_tables:
                if table.name in _NOT_OF_THE_VOYAGE:
                    continue
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
                for row in rows:
                    digest.update(repr((table.name, tuple(row))).encode())
        return digest.hexdigest()

    def told(self) -> str:
        """Return what happened, in one line."""
        with self.services.database.read() as connection:
            statuses = connection.execute(
                sa.select(t.messages.c.status, sa.func.count()).group_by(t.messages.c.status)
            )
            mails = {row[0]: row[1] for row in statuses}
            events = connection.scalar(sa.select(sa.func.count()).select_from(t.events))
        return f"{events} events, mails {mails}, moods {dict(self.sea.moods)}, happened {dict(self.happened)}"


#: Made once per database, from files and the host.
_NOT_OF_THE_VOYAGE = {"meta", "playbooks"}


def voyage(
    folder: Path, size: Size, seed: int, *, progress: Callable[[Instant], None] | None = None
) -> tuple[Voyage, Services]:
    """Live through a voyage on a private SQLite file; the caller closes the services.

    Deaths here are exceptions, never a process that ends, so the file need not outlive one.
    """
    clock = ManualClock(START)
    url = f"sqlite:///{folder / 'voyage.db'}"
    services = migrate(
        load_settings(folder=folder, environment=environment(folder, url)), clock=clock, keeps=False
    )
    with services.database.write() as connection:
        # The people of the voyage look for mail that has just reached them; nothing of the product does.
        connection.exec_driver_sql("CREATE INDEX of_the_voyage ON messages (sent_at)")
    made = Voyage(size, seed, services, clock, progress=progress)
    made.sail()
    return made, services


def _tell(began: float) -> Callable[[Instant], None]:
    """Return what says on standard error, every virtual month, how far it is and what it took."""
    told = START

    def tell(at: Instant) -> None:
        nonlocal told
        if at - told >= 30 * DAY:
            told = at
            day, spent = (at - START) // DAY, process_time()
            sys.stderr.write(f"day {day}: {spent:.0f} s of processor time, {monotonic() - began:.0f} s\n")

    return tell


def main() -> int:
    """Repeat a voyage; exit 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, default in (("seed", 7), ("people", 10_000), ("days", 730), ("tick", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="nurture-voyage-") as folder:
        size = Size(given.people, given.days, given.tick * MINUTE)
        made, services = voyage(Path(folder), size, given.seed, progress=_tell(began))
        faults = made.faults()
        lines = [made.told(), f"digest {made.digest()}", f"{monotonic() - began:.0f} s", *faults]
        sys.stdout.write("\n".join(lines) + "\n")
        services.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
