"""Operators and releases in the middle of everything: sends repeated and stopped, programmes and versions changed."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app import playbooks
from nurture.app.pauses import set_switch
from nurture.consent import record
from nurture.database import migrations
from nurture.database import schema as t
from nurture.database.engine import open_database
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, to_iso
from nurture.runtime.clock import SystemClock, monotonic, pause
from tests.architecture.sources import ROOT
from tests.faults.installation import Installation, people
from tests.production.people import THANKS, Item
from tests.rig.postgres import Postgres
from tests.transports.chaos_smtp import Later
from tests.workers.installation import environment, eventually

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 120
RECEIPT = "customer/any/order_confirmation"
NOTICE = "customer/advocate/presale_notice"


def _statuses(installation: Installation, measure: str, key: str) -> Counter[str]:
    """Return how many mails of the measure and run key stand where in the ledger."""
    m = t.messages.c
    with installation.database.read() as connection:
        found = connection.scalars(sa.select(m.status).where(m.measure == measure, m.run_key == key))
        return Counter(found)


def _advocates(count: int, now: Instant) -> list[Item]:
    """Return what makes so many people advocates who ticked the members' mails."""
    items: list[Item] = []
    for number in range(count):
        given = [
            ("Consent Given", {"topic": "members"}),
            *(("Order Completed", {"order_id": f"o{number}-{place}", "revenue": 20}) for place in range(2)),
            ("Product Reviewed", {"rating": 5}),
        ]
        items += [
            {
                "type": "track",
                "event": name,
                "userId": f"advocate{number}",
                "messageId": f"advocate{number}-{place}",
                "timestamp": to_iso(now - HOUR + place),
                "properties": properties,
                "context": {"traits": {"email": f"advocate{number}@people.example"}, "timezone": "UTC"},
            }
            for place, (name, properties) in enumerate(given)
        ]
    return items


def test_a_send_broken_off_and_asked_for_twice_reaches_everybody_once(
    postgresql_installation: Installation, seed: int
) -> None:
    installation = postgresql_installation
    installation.set(now := SystemClock().now())
    installation.hand_in_all(people(EVENTS, seed=seed, now=now))
    installation.hand_in(_advocates(12, now))
    installation.work_here()
    words = ["send", NOTICE, "--audience", "spoke_well >= 1", "--occasion", "spring", "--yes", "--json"]
    command = [sys.executable, "-m", "nurture.cli", *words]
    slow = {"NURTURE_TEST_FAILPOINTS": "inbox.accepted=sleep:2@1"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=installation.environment | slow, **quiet) as broken:  # type: ignore[call-overload]
        assert eventually(lambda: _is_in_transaction(installation)), "the send did not begin"
        broken.send_signal(signal.SIGINT)
        broken.communicate(timeout=30)
    terminals = [
        subprocess.Popen(command, cwd=ROOT, env=installation.environment, **quiet)  # type: ignore[call-overload]
        for _ in range(2)
    ]
    for terminal in terminals:
        output, wrong = terminal.communicate(timeout=60)
        assert terminal.returncode == 0, output + wrong
    installation.set(SystemClock().now())
    installation.settle()
    # At ten o'clock of the next day; nobody else spoke well.
    installation.set(installation.now // DAY * DAY + DAY + 10 * HOUR + MINUTE)
    installation.settle()
    assert _statuses(installation, NOTICE, "spring") == Counter(sent=12)
    delivered = Counter(
        taken.recipients[0] for taken in installation.server.accepted if b"/first-table" in plain(taken.data)
    )
    assert delivered == {f"advocate{number}@people.example": 1 for number in range(12)}
    assert installation.faults() == []


def plain(data: bytes) -> bytes:
    """Return the plain text of a mail."""
    text = message_from_bytes(data, policy=policy.default).get_body(("plain",))
    return text.get_content().encode() if text else b""


def _is_in_transaction(installation: Installation) -> bool:
    """Tell whether another process has written something that it has not committed."""
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' "
        "AND datname = current_database() AND backend_xid IS NOT NULL"
    )
    with installation.database.read() as connection:
        return bool(connection.scalar(sa.text(statement)))


def test_the_stop_switch_stops_a_send_in_two_seconds_and_the_rest_is_cancelled_to_a_mail(
    postgresql_installation: Installation, seed: int
) -> None:
    installation = postgresql_installation
    # Each takes long enough for the switch to come in the middle.
    installation.server.script = {"dot": Later(0.3)}
    installation.hand_in_all(people(400, seed=seed))
    with installation.worker() as process:
        assert eventually(lambda: len(installation.server.accepted) >= 5)
        set_switch(installation.services, "all", paused=True, actor="test", reason="the wrong people")
        pause(2.0)
        stopped = len(installation.server.accepted)
        pause(2.0)
        assert len(installation.server.accepted) == stopped
        assert process.wait(60) == 0
    waiting = _waiting(installation, RECEIPT)
    assert waiting > 0
    installation.database.run(
        lambda connection: record.cancel_measure(connection, RECEIPT, now=installation.now)
    )
    set_switch(installation.services, "all", paused=False, actor="test", reason="over")
    installation.settle()
    m = t.messages.c
    with installation.database.read() as connection:
        cancelled = connection.scalar(
            sa.select(sa.func.count()).where(m.measure == RECEIPT, m.status == "cancelled")
        )
    assert cancelled == waiting
    assert installation.faults() == []


def _waiting(installation: Installation, measure: str) -> int:
    m = t.messages.c
    with installation.database.read() as connection:
        return (
            connection.scalar(sa.select(sa.func.count()).where(m.measure == measure, m.status == "waiting"))
            or 0
        )


def test_a_removed_measure_ends_for_the_people_who_wait_in_it_and_leaves_no_alarm(
    installation: Installation, seed: int, tmp_path: Path
) -> None:
    crowd = people(EVENTS, seed=seed)
    installation.hand_in_all(crowd)
    installation.work_here()
    assert _active(installation, THANKS) == len(crowd.thanked) > 0
    folder = tmp_path / "programme"
    shutil.copytree(ROOT / "email_templates", folder)
    shutil.rmtree(folder / THANKS)
    playbooks.publish(installation.services, folder, backlog="none", actor="test")
    installation.later(3 * HOUR)
    installation.settle()
    assert _active(installation, THANKS) == 0
    with installation.database.read() as connection:
        ends = set(connection.scalars(sa.select(t.runs.c.reason).where(t.runs.c.measure == THANKS)))
        sent = connection.scalar(sa.select(sa.func.count()).where(t.messages.c.measure == THANKS))
    assert "" not in ends
    assert sent == 0
    assert installation.faults() == []


def _active(installation: Installation, measure: str) -> int:
    r = t.runs.c
    with installation.database.read() as connection:
        return (
            connection.scalar(sa.select(sa.func.count()).where(r.measure == measure, r.status == "active"))
            or 0
        )


def test_fifty_producers_of_one_person_neither_deadlock_nor_mix_their_order(
    postgresql_installation: Installation,
) -> None:
    installation = postgresql_installation
    with ThreadPoolExecutor(52) as pool:
        producers = [pool.submit(_produce, installation, number) for number in range(50)]
        drains = [pool.submit(installation.work_stubbornly) for _ in range(2)]
        for produced in producers:
            produced.result(120)
        for drained in drains:
            drained.result(120)
    installation.settle()
    e = t.events.c
    with installation.database.read() as connection:
        applied = connection.scalars(sa.select(e.message_id).order_by(e.id)).all()
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.contacts)) == 1
    assert len(applied) == 50 * 8
    for number in range(50):
        mine = [message for message in applied if message.startswith(f"{number}-")]
        assert mine == [f"{number}-{place}" for place in range(8)]
    assert installation.faults() == []


def _produce(installation: Installation, number: int) -> None:
    for place in range(8):
        item: Item = {
            "type": "track",
            "event": "Page Viewed",
            "userId": "one",
            "messageId": f"{number}-{place}",
        }
        installation.hand_in([item])


def test_older_workers_go_on_while_a_newer_release_has_added_columns(
    postgresql_installation: Installation, seed: int
) -> None:
    """Expand only: what an older worker does not know has a default, and it never names all columns."""
    installation = postgresql_installation
    crowd = people(EVENTS, seed=seed)
    installation.hand_in(crowd.items[:60])
    installation.work_here()
    with installation.database.write() as connection:
        for table in t.metadata.sorted_tables:
            connection.execute(
                sa.text(f"ALTER TABLE \"{table.name}\" ADD COLUMN of_tomorrow text DEFAULT 'new'")
            )
    installation.hand_in_all(crowd)
    installation.settle()
    assert installation.faults(crowd) == []


def test_older_code_started_on_a_newer_database_refuses_and_changes_nothing(
    postgresql_installation: Installation,
) -> None:
    installation = postgresql_installation
    with installation.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = installation.ledger()
    assert installation.work() != 0
    assert installation.ledger() == before


def test_an_event_of_a_kind_that_only_newer_code_knows_is_kept(installation: Installation, seed: int) -> None:
    crowd = people(EVENTS, seed=seed)
    installation.hand_in_all(crowd)
    with installation.database.write() as connection:
        i = t.inbox.c
        first = connection.scalar(sa.select(sa.func.min(i.id)).where(i.name == "Page Viewed"))
        connection.execute(sa.update(t.inbox).where(i.id == first).values(kind="of_tomorrow"))
    installation.settle()
    with installation.database.read() as connection:
        kept = connection.scalar(sa.select(sa.func.count()).where(t.events.c.kind == "of_tomorrow"))
        aside = connection.scalar(sa.select(sa.func.count()).select_from(t.quarantine))
    assert (kept or 0) + (aside or 0) == 1


@pytest.mark.parametrize("after", [1.0, 1.5, 2.0])
def test_a_migration_killed_in_the_middle_is_started_again(
    postgres: Postgres, tmp_path: Path, after: float
) -> None:
    name = postgres.create()
    given = environment(tmp_path, postgres.url(name))
    command = [sys.executable, "-m", "nurture.cli", "migrate"]
    with subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.DEVNULL) as process:
        until: Instant | float = monotonic() + after
        while monotonic() < until and process.poll() is None:
            pause(0.02)
        process.kill()
    again = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    database = open_database(postgres.url(name))
    migrations.require_current(database)
    database.close()
    postgres.drop(name)
