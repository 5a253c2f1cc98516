"""Many due mails, a mail server that keeps a ledger and takes its time, and senders to kill."""

import os
import random  # noqa: TID251 - seeded, so the same seed chooses the same moments
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, SECOND, Instant
from nurture.domain.measure import Measure
from nurture.runtime.clock import monotonic, pause
from tests.delivery.builders import BERLIN, NOON
from tests.delivery.journal.nursery import BULK, OFFER, RECEIPT
from tests.rig import warm
from tests.rig.smtp import SmtpSink, StoredMail

#: Every so many mails is one of these.
_KINDS = (OFFER, BULK, RECEIPT)


class SlowSink(SmtpSink):
    """Forces each mail to its ledger, then takes up to so many seconds before it says 250."""

    def __init__(self, folder: Path, *, seed: int, seconds: float) -> None:
        super().__init__(folder)
        self._rng = random.Random(seed)
        self._seconds = seconds
        self._choosing = Lock()

    def keep(self, taken: StoredMail) -> None:
        super().keep(taken)
        with self._choosing:
            seconds = self._rng.random() * self._seconds
        pause(seconds)


@contextmanager
def slow_sink(folder: Path, *, seed: int, seconds: float = 0.02) -> Iterator[SlowSink]:
    """Give a listening sink for as long as the block runs."""
    folder.mkdir()
    with SlowSink(folder, seed=seed, seconds=seconds) as sink:
        thread = Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            sink.shutdown()
            thread.join()


@dataclass
class Nursery:
    """Senders in processes of their own, on one database, one journal folder and one clock."""

    folder: Path
    url: str
    smtp: str
    alive: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the clock and load everything once."""
        self.clock = self.folder / "clock"
        self.began = monotonic()
        self.added: Instant = 0
        self.tick()
        self._process = warm.start(
            ["tests.delivery.journal.nursery", self.url, self.clock, self.journals, self.smtp],
            imports=["tests.delivery.world", "nurture.transports.smtp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.folder / "journals"

    def tick(self, by: int = 0) -> None:
        """Let time pass: as much as has passed since, and `by` more."""
        self.added += by
        now = NOON + int((monotonic() - self.began) * SECOND) + self.added
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(now))
        fresh.rename(self.clock)

    def spawn(self, failpoints: str = "") -> int:
        """Start a sender."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"spawn {failpoints}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self.alive.append(pid)
        return pid

    def kill(self, pid: int) -> None:
        """Kill -9."""
        os.kill(pid, signal.SIGKILL)
        self.alive.remove(pid)

    def end(self) -> None:
        """End all of them."""
        for pid in list(self.alive):
            with suppress(ProcessLookupError):
                self.kill(pid)
        self._process.communicate(timeout=20)


def fill(database: Database, count: int, kinds: Sequence[Measure] = _KINDS) -> None:
    """Store so many people, each with one due mail: of these measures in turn, on two lanes."""
    people = [
        {
            "id": number,
            "track": "customer",
            "stage": "excite",
            "track_since": 0,
            "stage_since": 0,
            "first_seen_at": NOON - 100 * DAY,
            "zone": BERLIN,
            "email": f"p{number}@example.com",
            "facts": {"first_seen_at": NOON - 100 * DAY},
            "clock": NOON - DAY,
        }
        for number in range(1, count + 1)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(t.contacts), people)
        connection.execute(
            sa.insert(t.identities),
            [
                {
                    "kind": "email",
                    "value": row["email"],
                    "contact_id": row["id"],
                    "since": 0,
                    "source": "test",
                }
                for row in people
            ],
        )
        agreed = {"topic": "offers", "state": "granted", "at": 1, "source": "test", "evidence": "{}"}
        connection.execute(sa.insert(t.consents), [{**agreed, "contact_id": row["id"]} for row in people])
        mails = [_mail(number, kinds[number % len(kinds)]) for number in range(1, count + 1)]
        connection.execute(sa.insert(t.messages), mails)
        connection.execute(sa.insert(t.runs), [_run(mail) for mail in mails])


def _mail(number: int, measure: Measure) -> dict[str, Any]:
    return {
        "id": number,
        "contact_id": number,
        "measure": measure.path,
        "run_key": "",
        "step": "offer",
        "mail": "offer",
        "track": measure.track,
        "purpose": measure.purpose,
        "topic": measure.topic,
        "lane": measure.lane,
        "priority": 50,
        "holdout": False,
        "status": "waiting",
        "decided_at": NOON - HOUR,
        "due_at": NOON - HOUR,
        "valid_until": NOON + 30 * DAY,
    }


def _run(mail: dict[str, Any]) -> dict[str, Any]:
    return {
        "contact_id": mail["contact_id"],
        "measure": mail["measure"],
        "key": "",
        "entity_key": "",
        "track": "customer",
        "status": "done",
        "started_at": NOON - HOUR,
        "step": "offer",
        "step_since": NOON - HOUR,
        "due_at": NOON,
        "mailing": False,
        "holdout": False,
        "variant": "",
        "decided": '["offer"]',
        "let": "{}",
        "data": "{}",
        "rules_hash": "",
    }


def ledger(database: Database) -> dict[int, tuple[str, str, str]]:
    """Return message -> (purpose, status, reason)."""
    with database.read() as connection:
        rows = connection.execute(sa.select(t.messages))
        return {row.id: (row.purpose, row.status, row.reason) for row in rows}


def arrivals(sink: SmtpSink) -> Counter[int]:
    """Return message -> how often the mail server took it; each person has one mail, of the same number."""
    return Counter(int(taken.recipients[0].partition("@")[0].removeprefix("p")) for taken in sink.taken)


def doubts(database: Database) -> int:
    """Return how often a mail came to be in doubt."""
    counted = sa.select(sa.func.count()).select_from(t.attempts).where(t.attempts.c.outcome == "in_doubt")
    with database.read() as connection:
        return connection.scalar(counted) or 0
