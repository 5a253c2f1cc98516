"""The SMTP window: senders are killed with -9 at random moments while a slow server takes their mails.

Marketing mail arrives at most once, transactional mail at least once; what is in doubt is at most what stood behind a
final dot without a reply, one mail for each connection of each killed process; where its disk is lost too, a window.
"""

import os
import random  # noqa: TID251 - seeded, so the same seed chooses the same moments
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nurture.database.engine import Database
from nurture.delivery.types import WIRE_LEASE
from nurture.domain.instant import MINUTE
from nurture.domain.measure import Measure
from nurture.runtime.clock import monotonic, pause
from tests.delivery.journal.crowd import Nursery, SlowSink, arrivals, doubts, fill, ledger, slow_sink
from tests.delivery.journal.nursery import CONNECTIONS, FENCE, LANES, OFFER, RECEIPT, WINDOW_MAILS

pytestmark = pytest.mark.faults

#: The most mails that a killed process may have had behind a final dot.
WINDOW = CONNECTIONS * len(LANES)
OPEN = {"waiting", "ready", "on_wire"}


@dataclass(frozen=True)
class Size:
    """How many mails, and how often a sender is killed meanwhile."""

    mails: int
    kills: int
    seed: int = 20_260


@contextmanager
def nursery_and_sink(
    database: Database, url: str, folder: Path, seed: int
) -> Iterator[tuple[Nursery, SlowSink]]:
    with slow_sink(folder / "taken", seed=seed) as sink:
        nursery = Nursery(folder, url, sink.url)
        try:
            yield nursery, sink
        finally:
            nursery.end()


def until(nursery: Nursery, holds: Callable[[], bool], *, seconds: float) -> bool:
    """Wait, with the clock running; tells whether it came true in time."""
    end = monotonic() + seconds
    while not holds():
        if monotonic() > end:
            return False
        nursery.tick()
        pause(0.02)
    return True


def is_done(database: Database) -> bool:
    return not OPEN & {status for _, status, _ in ledger(database).values()}


def kill_at_random(nursery: Nursery, sink: SlowSink, size: Size, rng: random.Random) -> int:
    """Kill a sender whenever some mails have arrived; returns how many were killed while mails were left."""
    killed = 0
    for number in range(size.kills):
        wanted = min((number + 1) * size.mails // (size.kills + 2), size.mails)
        until(nursery, lambda wanted=wanted: sink.count >= wanted, seconds=5.0)  # type: ignore[misc]
        pause(rng.random() * 0.02)
        nursery.kill(rng.choice(nursery.alive))
        killed += sink.count < size.mails
        nursery.spawn()
    return killed


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(100, 5), id="short"),
        pytest.param(Size(1_500, 80), id="long", marks=pytest.mark.long),
    ],
)
def test_killed_senders_repeat_no_marketing_and_lose_no_receipt(
    database: Database, database_url: str, tmp_path: Path, size: Size
) -> None:
    sys.stdout.write(f"{size}\n")
    fill(database, size.mails)
    rng = random.Random(size.seed)
    with nursery_and_sink(database, database_url, tmp_path, size.seed) as (nursery, sink):
        for _ in range(2):
            nursery.spawn()
        killed = kill_at_random(nursery, sink, size, rng)
        assert until(nursery, lambda: is_done(database), seconds=30.0), ledger(database)
        before = ledger(database)
        # Before any receipt is sent again; evidence is waited for until then.
        found = doubts(database)
        for _ in range(3):
            nursery.tick(11 * MINUTE)
            pause(0.2)
            assert until(nursery, lambda: is_done(database), seconds=30.0), ledger(database)
        ended, arrived = ledger(database), arrivals(sink)
    marketing = {number for number, (purpose, _, _) in ended.items() if purpose == "sales"}
    figures = {
        "killed": killed,
        "in doubt": found,
        "never left": sum(before[n][1] == "in_doubt" and not arrived[n] for n in marketing),
        "marketing repeated": sum(arrived[n] > 1 for n in marketing),
        "receipts repeated": sum(arrived[n] > 1 for n in ended.keys() - marketing),
    }
    sys.stdout.write(f"{figures}\n")
    assert killed >= size.kills * 3 // 4, figures
    assert figures["marketing repeated"] == 0, figures
    assert {n for n in marketing if ended[n][1] == "sent" and arrived[n] != 1} == set()
    assert {ended[n][1] for n in marketing} <= {"sent", "in_doubt"}
    assert {n for n in ended.keys() - marketing if arrived[n] < 1 or ended[n][1] != "sent"} == set()
    assert found <= WINDOW * killed, figures


def test_a_lost_disk_leaves_one_window_in_doubt(
    database: Database, database_url: str, tmp_path: Path, seed: int
) -> None:
    fill(database, 150)
    rng = random.Random(seed)
    lost = []
    with nursery_and_sink(database, database_url, tmp_path, seed) as (nursery, sink):
        for _ in range(4):
            sender = nursery.spawn()
            wanted = sink.count + 20
            assert until(nursery, lambda wanted=wanted: sink.count >= wanted, seconds=20.0)  # type: ignore[misc]
            pause(rng.random() * 0.05)
            nursery.kill(sender)
            # With its disk went all that it had written down.
            shutil.rmtree(nursery.journals)
            lost.append(sum(status == "on_wire" for _, status, _ in ledger(database).values()))
            nursery.tick(WIRE_LEASE + MINUTE)
        nursery.spawn()
        assert until(nursery, lambda: is_done(database), seconds=30.0), ledger(database)
        found = doubts(database)
        nursery.tick(11 * MINUTE)
        pause(0.2)
        assert until(nursery, lambda: is_done(database), seconds=30.0), ledger(database)
        ended, arrived = ledger(database), arrivals(sink)
    # Of each lane one window and, of the one before, of each connection a mail behind its dot and one just heard of.
    assert max(lost) <= len(LANES) * (WINDOW_MAILS + 2 * CONNECTIONS), lost
    assert 0 < found <= sum(lost), (found, lost)
    assert max(arrived[n] for n, (purpose, _, _) in ended.items() if purpose == "sales") == 1
    assert {n for n, (purpose, _, _) in ended.items() if purpose != "sales" and not arrived[n]} == set()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((OFFER, "in_doubt", 0), id="offer"),
        pytest.param((RECEIPT, "sent", 1), id="receipt", marks=pytest.mark.long),
    ],
)
def test_a_sender_that_slept_past_its_lease_neither_sends_nor_overwrites(
    postgresql_database: Database,
    postgresql_url: str,
    tmp_path: Path,
    case: tuple[Measure, str, int],
) -> None:
    measure, ends, arrived = case
    # On SQLite there is one process; one that sleeps in a transaction would make all others wait.
    database = postgresql_database
    fill(database, 1, [measure])
    with nursery_and_sink(database, postgresql_url, tmp_path, 1) as (nursery, sink):
        zombie = nursery.spawn("smtp.data=stop@1")
        assert until(nursery, lambda: _is_stopped(zombie), seconds=10.0)
        assert ledger(database)[1][1] == "on_wire"
        began = monotonic()
        nursery.tick(WIRE_LEASE + MINUTE)
        nursery.spawn()
        # The sleeper lives: its journal tells nobody anything, and its lease is over.
        assert until(nursery, lambda: ledger(database)[1][1] == "in_doubt", seconds=10.0)
        nursery.tick(11 * MINUTE)
        assert until(nursery, lambda: ledger(database)[1][1] == ends, seconds=10.0), ledger(database)
        before = ledger(database)
        assert sink.count == arrived
        pause(max(0.0, began + FENCE + 0.5 - monotonic()))
        os.kill(zombie, signal.SIGCONT)
        pause(1.0)
        assert ledger(database) == before
        assert sink.count == arrived


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
