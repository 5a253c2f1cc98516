"""The disk is full, the file is held by somebody else, a report holds a snapshot open: refused, never half done."""

import asyncio
import base64
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nurture.app.event_body import split_body
from nurture.app.group_commit import GroupCommit, Unavailable
from nurture.app.ingest import Intake, read_items
from nurture.app.installation import migrate
from nurture.database import schema as t
from nurture.database.engine import Database, encode
from nurture.domain.instant import MINUTE
from nurture.reports.metrics import render_page
from nurture.runtime.clock import ManualClock, SystemClock, monotonic
from nurture.runtime.settings import load_settings
from tests.faults.installation import NOON, Installation, people
from tests.production.people import Item
from tests.production.processes import SOURCE
from tests.rig.postgres import crashing_postgres
from tests.transports.chaos_smtp import chaos
from tests.workers.installation import environment

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 120
#: The events of one request while the disk fills.
BATCH = 20


def _large(number: int) -> Item:
    """Return an event of thirty thousand bytes that cannot be packed smaller."""
    noise = b"".join(blake2b(f"{number}:{place}".encode()).digest() for place in range(340))
    return {
        "type": "track",
        "event": "Page Viewed",
        "userId": f"u{number}",
        "messageId": f"large-{number}",
        "properties": {"path": base64.b64encode(noise).decode()},
    }


def _hand_in(database: Database, items: list[Item]) -> bool:
    """Hand a request in as HTTP does; False: it was answered with 503."""

    async def put(commit: GroupCommit, intake: Intake) -> None:
        await commit.put(intake)

    intake = read_items(split_body(encode({"batch": items}).encode()), source=SOURCE, received_at=NOON)
    commit = GroupCommit(database=database, clock=SystemClock())
    commit.start()
    try:
        asyncio.run(put(commit, intake))
    except Unavailable:
        return False
    finally:
        commit.stop()
    return True


def _fill(database: Database) -> int:
    """Hand large events in until there is no room; returns how many were accepted."""
    for place in range(0, 2_000, BATCH):
        if not _hand_in(database, [_large(number) for number in range(place, place + BATCH)]):
            return place
    raise AssertionError("the disk is not full")


def _counted(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _goes_on(installation: Installation, accepted: int) -> None:
    """With room again everything goes on by itself, and nothing accepted is missing."""
    assert _hand_in(installation.database, [_large(number) for number in range(accepted, accepted + BATCH)])
    installation.settle()
    assert _counted(installation.database, t.events) == accepted + BATCH
    assert installation.faults() == []


def test_a_full_sqlite_file_refuses_and_goes_on_when_there_is_room(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    pages = [0]

    def bound(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0] or 2**30}")

    sa.event.listen(installation.database.writer, "connect", bound)
    with installation.database.read() as connection:
        pages[0] = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one()) + 1_500
    installation.database.writer.dispose()
    accepted = _fill(installation.database)
    assert 0 < accepted == _counted(installation.database, t.inbox)
    # The drain finds no room either, and changes nothing.
    with pytest.raises(DBAPIError, match="full"):
        installation.work_here()
    pages[0] = 0
    installation.database.writer.dispose()
    _goes_on(installation, accepted)


def test_a_full_disk_of_postgres_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with crashing_postgres() as postgres, chaos({}, folder=taken) as server:
        url = postgres.url(postgres.create())
        settings = load_settings(folder=tmp_path, environment=environment(tmp_path, url))
        migrate(settings, clock=ManualClock(NOON)).close()
        installation = Installation(tmp_path, url, server)
        postgres.fill()
        accepted = _fill(installation.database)
        assert 0 < accepted == _counted(installation.database, t.inbox)
        postgres.fill(full=False)
        _goes_on(installation, accepted)
        installation.close()


_HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(10)
connection.execute("ROLLBACK")
"""


def test_eight_writers_wait_while_another_program_holds_the_file(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    path = sa.make_url(installation.services.settings.database_url).database
    assert path
    with subprocess.Popen([sys.executable, "-c", _HOLDER, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        began = monotonic()
        with ThreadPoolExecutor(8) as pool:
            batches = [[_large(place * 10 + number) for number in range(10)] for place in range(8)]
            assert all(pool.map(lambda items: _hand_in(installation.database, items), batches))
        assert monotonic() - began > 5, "nobody held it"
    assert _counted(installation.database, t.inbox) == 80
    installation.settle()
    assert installation.faults() == []
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_claiming_stays_quick_while_a_report_holds_an_old_snapshot(
    postgresql_installation: Installation, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead rows pile up behind the snapshot; what is claimed is found by index; the doctor says who it is."""
    installation = postgresql_installation
    installation.hand_in_all(people(EVENTS, seed=seed))
    installation.server.script = {"rcpt": "451 4.3.0 later"}
    installation.work_here()
    quiet = _claims(installation, 10)
    with installation.database.reader.connect() as report:
        report.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        report.execute(sa.select(sa.func.count()).select_from(t.messages))
        _churn(installation, 300)
        pinned = _claims(installation, 10)
        assert installation.faults() == []
        with monkeypatch.context() as sooner:
            sooner.setattr("nurture.app.doctor.TRANSACTION_SECONDS_MAX", 0)
            (found,) = installation.faults()
        pid = report.scalar(sa.text("SELECT pg_backend_pid()"))
        assert found.startswith(
            f"doctor: old transactions: session {pid} (nurture, idle in transaction) has held"
        )
        assert _held_for(installation) > 0
    assert median(pinned) < 0.05 + 10 * median(quiet), f"{quiet} quiet, {pinned} behind a snapshot"
    installation.server.script = {}
    installation.settle()
    assert installation.faults() == []


def _held_for(installation: Installation) -> float:
    """Return for how many seconds the figures say that a transaction is open."""
    page = render_page(installation.database, clock=installation.clock).decode()
    (line,) = [line for line in page.splitlines() if line.startswith("nurture_oldest_transaction_seconds ")]
    return float(line.split()[1])


def _churn(installation: Installation, times: int) -> None:
    """Write every waiting mail's due time so often."""
    m = t.messages.c
    for _ in range(times):
        with installation.database.write() as connection:
            connection.execute(sa.update(t.messages).where(m.status == "waiting").values(due_at=m.due_at + 1))


def _claims(installation: Installation, times: int) -> list[float]:
    """Return how many seconds each look for due mail took."""
    m = t.messages.c
    taken = []
    for _ in range(times):
        began = monotonic()
        with installation.database.read() as connection:
            due = sa.select(m.id).where(m.lane == "main", m.status == sa.literal_column("'waiting'"))
            connection.execute(
                due.where(m.due_at <= installation.now + MINUTE).order_by(m.due_at).limit(200)
            ).all()
        taken.append(monotonic() - began)
    return taken
