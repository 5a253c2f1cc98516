"""Links break: to PostgreSQL in the middle of anything, to the mail server at every stage, and both come back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.installation import migrate, open_existing
from nurture.database.engine import Database, open_database
from nurture.database.schema import meta
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.faults.installation import LAPSE, NOON, Installation, people
from tests.faults.worker import work
from tests.rig.postgres import crashing_postgres
from tests.rig.proxy import Proxy, proxied
from tests.transports.chaos_smtp import chaos
from tests.workers.installation import environment
from workers.context import make_context

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 300


@contextmanager
def behind_proxies(folder: Path, database_url: str) -> Iterator[tuple[Installation, Proxy, Proxy]]:
    """Give an installation whose connections to PostgreSQL and to its mail server lead through proxies, and these."""
    taken = folder / "taken"
    taken.mkdir()
    port = sa.make_url(database_url).port
    assert port
    with chaos({}, folder=taken) as server, proxied(port) as database, proxied(server.port) as mail:
        # Patience in seconds, where production has minutes.
        patience = "?" + "&".join(f"{name}=2" for name in ("greeting", "command", "data", "block", "dot"))
        installation = Installation(
            folder, database.url(database_url), server, mail_url=mail.url(server.url) + patience
        )
        try:
            yield installation, database, mail
        finally:
            installation.close()


def test_a_commit_whose_answer_is_lost_is_done_again_and_changes_nothing(
    postgresql_installation_url: str, tmp_path: Path, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, database, _):
        database.lose_reply_to(b"COMMIT", every=6)
        installation.hand_in_all(crowd)
        installation.work_stubbornly()
        # Over all of it: accepting, applying, claiming, the gate, outcomes.
        assert database.lost >= 10
        database.lose_reply_to(b"", every=0)
        installation.settle()
        assert installation.faults(crowd) == []


def test_connections_to_the_database_cut_at_any_moment_cost_nothing(
    postgresql_installation_url: str, tmp_path: Path, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, database, _):
        over = threading.Event()
        cuts: list[int] = []

        def cut() -> None:
            while not over.wait(0.25):
                cuts.append(database.cut())

        installation.hand_in_all(crowd)
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            with ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(installation.work_stubbornly) for _ in range(2)]:
                    done.result(120)
        finally:
            over.set()
            cutter.join()
        assert sum(cuts) >= 10
        installation.settle()
        assert installation.faults(crowd) == []


def test_postgres_crashes_in_the_middle_of_transactions(tmp_path: Path, seed: int) -> None:
    crowd = people(EVENTS, seed=seed)
    taken = tmp_path / "taken"
    taken.mkdir()
    with crashing_postgres() as postgres, chaos({}, folder=taken) as server:
        url = postgres.url(postgres.create())
        migrate(
            load_settings(folder=tmp_path, environment=environment(tmp_path, url)), clock=ManualClock(NOON)
        ).close()
        installation = Installation(tmp_path, url, server)
        installation.hand_in_all(crowd)
        # Each transaction takes long enough to be met in the middle.
        slowly = (
            "drain.applied=sleep:0.3 claim.judged=sleep:0.3 wire.gated=sleep:0.3 deliver.written=sleep:0.3"
        )
        with installation.worker(slowly) as process:
            for _ in range(4):
                over = threading.Event()
                over.wait(1.0)
                if process.poll() is not None:
                    break
                postgres.crash()
            process.wait(120)
        installation.settle()
        assert installation.faults(crowd) == []
        installation.close()


def test_a_serialization_failure_is_done_again(postgresql_database: Database) -> None:
    database = postgresql_database
    both = threading.Barrier(2, timeout=10)
    tries: list[int] = []
    with database.write() as connection:
        connection.execute(sa.insert(meta).values(key="n", value="0"))

    def add(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        before = int(connection.execute(sa.select(meta.c.value).where(meta.c.key == "n")).scalar_one())
        if len(tries) <= 2:
            both.wait()
        connection.execute(sa.update(meta).where(meta.c.key == "n").values(value=str(before + 1)))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(database.run, add) for _ in range(2)]:
            done.result(30)
    assert len(tries) == 3
    with database.read() as connection:
        assert connection.execute(sa.select(meta.c.value).where(meta.c.key == "n")).scalar_one() == "2"


@pytest.mark.parametrize("default", ["repeatable read", "serializable"])
def test_another_isolation_by_default_changes_nothing(
    postgresql_installation_url: str, tmp_path: Path, default: str, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, _, __):
        _set_for_new_sessions(installation, "default_transaction_isolation", f"'{default}'")
        installation.hand_in_all(crowd)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(_other_worker, installation) for _ in range(4)]:
                done.result(120)
        installation.settle()
        assert installation.faults(crowd) == []


def _other_worker(installation: Installation) -> None:
    """Work beside others, on connections of its own."""
    settings = load_settings(folder=installation.folder, environment=installation.environment)
    context = make_context(open_existing(settings, clock=installation.clock))
    work(context)
    context.close()


def _set_for_new_sessions(installation: Installation, name: str, value: str) -> None:
    """Set a parameter for every session of this database that begins from now on."""
    with installation.database.write() as connection:
        database = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f'ALTER DATABASE "{database}" SET {name} = {value}'))
    installation.database.close()


def test_a_transaction_killed_for_being_idle_is_done_again(
    postgresql_installation_url: str, tmp_path: Path, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, _, __):
        _set_for_new_sessions(installation, "idle_in_transaction_session_timeout", "'1s'")
        installation.hand_in_all(crowd)
        places = ("drain.applied", "claim.judged", "wire.gated", "deliver.written")
        assert installation.work(" ".join(f"{place}=sleep:1.5@1" for place in places)) == 0
        installation.settle()
        assert installation.faults(crowd) == []


def test_nothing_rests_on_what_a_session_remembers(
    postgresql_installation_url: str, tmp_path: Path, seed: int
) -> None:
    """A pooler that gives each transaction another session forgets settings, temporary tables and session locks."""
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, _, __):

        def forget(connection: Any, *_: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("RESET ALL; SELECT pg_advisory_unlock_all(); DISCARD TEMP; UNLISTEN *")
            connection.commit()

        sa.event.listen(installation.database.writer, "checkout", forget)
        installation.hand_in_all(crowd)
        installation.work_here()
        assert installation.faults(crowd) == []


def test_fewer_connections_than_threads_make_them_wait_and_nothing_else(
    postgresql_installation_url: str,
) -> None:
    database = open_database(postgresql_installation_url, pool_size=1)
    done: list[int] = []

    def work(number: int) -> None:
        database.run(lambda connection: connection.execute(sa.text("SELECT pg_sleep(0.05)")))
        done.append(number)

    with ThreadPoolExecutor(12) as pool:
        for future in [pool.submit(work, number) for number in range(24)]:
            future.result(30)
    database.close()
    assert sorted(done) == list(range(24))


@pytest.mark.parametrize(
    "word", [b"MAIL FROM", b"RCPT TO", b"DATA\r\n", b"\r\n.\r\n"], ids=["mail", "rcpt", "data", "dot"]
)
def test_the_mail_server_is_cut_off_at_this_stage(
    postgresql_installation_url: str, tmp_path: Path, word: bytes, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, _, mail):
        # Old-fashioned, so that the stages are said one by one.
        installation.server.extensions = ["8BITMIME"]
        installation.hand_in_all(crowd)
        mail.lose_reply_to(word, every=4)
        for _ in range(2):
            # After three doubts a mail would end in doubt for good.
            installation.work_here()
            installation.later(LAPSE)
        assert mail.lost >= 4
        mail.lose_reply_to(b"", every=0)
        installation.settle()
        assert installation.faults(crowd) == []


@pytest.mark.parametrize("how", ["stall", "half_close"])
def test_a_mail_server_that_falls_silent_without_a_word(
    postgresql_installation_url: str, tmp_path: Path, how: str, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    with behind_proxies(tmp_path, postgresql_installation_url) as (installation, _, mail):
        installation.hand_in_all(crowd)
        falls = threading.Timer(0.0, getattr(mail, how))
        # Several conversations come here at once.
        once = threading.Lock()

        def fall(_line: str) -> str:
            if len(installation.server.accepted) >= 5 and once.acquire(blocking=False):
                falls.start()
            return "250 2.0.0 taken"

        installation.server.script = {"dot": fall}
        installation.work_here()
        assert once.locked(), "nothing was sent before"
        falls.join()
        mail.flow()
        mail.cut()
        installation.server.script = {}
        for _ in range(2):
            installation.later(LAPSE)
        installation.settle()
        assert installation.faults(crowd) == []
