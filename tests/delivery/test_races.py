"""Two at once on PostgreSQL: who stops, who is stopped, who comes late. Real connections, real processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa

from nurture.consent import record
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim import _claim
from nurture.delivery.send_gate import SendGate
from nurture.delivery.types import WINDOW_SECONDS
from nurture.domain.instant import DAY, MINUTE
from nurture.domain.playbook import Cap
from nurture.runtime.clock import monotonic
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.test_claim import merge
from tests.delivery.worker import SharedClock
from tests.delivery.world import SUPPRESSION_KEY, Post, World
from tests.rig import warm

RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)
CAP = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
BULK = a_measure("customer/any/bulk", lane="bulk")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(postgresql_database: Database) -> World:
    return World(postgresql_database, a_playbook(a_measure(), BULK, RECEIPT, caps=(CAP,)))


# ---- transactions ----------------------------------------------------------------------------------------


def test_a_cap_of_one_holds_under_two_guards(world: World) -> None:
    ada = world.person()
    world.mail(ada)
    world.mail(ada, BULK.path)
    with world.database.write() as connection:
        first = _claim(connection, world.delivery, lane="main", limit=10)
        # The other guard neither waits for the contact nor passes its mail.
        assert not world.other("two").claim("bulk").counts
    assert len(first.ready) == 1
    second = world.other("two").claim("bulk")
    assert (second.counts["deferred"], second.ready) == (1, [])


def test_a_cap_holds_under_two_guards_of_two_contacts_that_are_one_person(world: World) -> None:
    old, ada = world.person("old"), world.person("ada")
    world.mail(old)
    world.mail(ada, BULK.path)
    merge(world, old, ada)
    with world.database.write() as connection:
        first = _claim(connection, world.delivery, lane="main", limit=10)
        assert not world.other("two").claim("bulk").ready
    assert len(first.ready) == 1
    assert not world.other("two").claim("bulk").ready


def test_two_workers_share_the_work_without_waiting(world: World) -> None:
    for place in range(20):
        world.mail(world.person(f"p{place}"))
    with world.database.write() as connection:
        first = _claim(connection, world.delivery, lane="main", limit=10)
        second = world.other("two").claim(limit=10)
    ids = [ready.id for ready in (*first.ready, *second.ready)]
    assert len(ids) == len(set(ids)) == 20


def test_an_unsubscribe_that_waits_for_the_chunk_gate_still_stops_the_mail(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)
    begun = Event()

    def unsubscribe() -> None:
        begun.set()
        world.unsubscribe(ada)

    with ThreadPoolExecutor(1) as pool:
        with world.database.write() as connection:
            chunk = _claim(connection, world.delivery, lane="main", limit=10)
            waiting = pool.submit(unsubscribe)
            begun.wait(5)
            assert len(chunk.ready) == 1
        waiting.result(5)
    post = Post()
    gate = SendGate(world.database, world.delivery, chunk)
    assert not list(post.send(gate.mails()))
    gate.close()
    world.deliver(post)
    assert not post.taken
    assert world.status(number) == ("skipped", "consent_withdrawn")


def test_an_unsubscribe_committed_before_the_gate_is_seen_by_it(world: World) -> None:
    ada = world.person()
    world.mail(ada)
    chunk = world.claim()
    with world.database.write() as connection:
        record.unsubscribe(
            connection,
            contact_id=ada,
            topic="offers",
            now=NOON,
            source="test",
            evidence={},
            suppression_key=SUPPRESSION_KEY,
        )
    gate = SendGate(world.database, world.delivery, chunk)
    assert not list(gate.mails())
    assert world.message(chunk.ready[0].id).reason == "changed"


def test_a_mail_cancelled_while_its_window_passes_the_gate_is_not_sent(world: World) -> None:
    number = world.mail(world.person())
    chunk = world.claim()
    gate = SendGate(world.database, world.delivery, chunk)
    with ThreadPoolExecutor(1) as pool:
        with world.database.write() as connection:
            connection.execute(sa.update(t.messages).values(status="cancelled", reason="converted"))
            mails = pool.submit(lambda: list(gate.mails()))
        assert mails.result(10) == []
    assert world.status(number) == ("cancelled", "converted")


def test_many_workers_send_each_mail_once_and_keep_every_cap(world: World) -> None:
    people = [world.person(f"p{place}") for place in range(40)]
    for person in people:
        world.mail(person)
        world.mail(person, run_key="2")
        world.mail(person, BULK.path)
    posts = [Post() for _ in range(4)]

    def work(place: int) -> None:
        worker = world.other(f"worker {place}")
        for _ in range(30):
            for lane in ("main", "bulk"):
                worker.deliver(posts[place], lane=lane, limit=7)
            if place == 3:
                worker.recover()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, place) for place in range(4)]:
            done.result(60)
    taken = [mail.message_id for post in posts for mail in post.taken]
    assert len(taken) == len(set(taken)) == len(people)
    with world.database.read() as connection:
        sent = connection.execute(
            sa.select(t.messages.c.contact_id, sa.func.count())
            .where(t.messages.c.status == "sent")
            .group_by(t.messages.c.contact_id)
        ).all()
    assert sorted(tuple(row) for row in sent) == [(person, 1) for person in people]


# ---- processes -------------------------------------------------------------------------------------------


class Shared:
    """A clock in a file, a file of letters, and workers as processes."""

    def __init__(self, world: World, url: str, folder: Path) -> None:
        self.clock, self.out, self.url = folder / "clock", folder / "letters", url
        self.set(NOON)
        self.world = world
        world.clock = SharedClock(self.clock)  # type: ignore[assignment]

    def set(self, instant: int) -> None:
        other = self.clock.with_suffix(".new")
        other.write_text(str(instant))
        other.replace(self.clock)

    def later(self, duration: int) -> None:
        self.set(int(self.clock.read_text()) + duration)

    @contextmanager
    def worker(self, halt: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = ["tests.delivery.worker", self.url, str(self.clock), str(self.out), halt]
        with warm.start(command, imports=["tests.delivery.world"]) as process:
            try:
                yield process
            finally:
                process.kill()

    def mails(self) -> list[tuple[int, int, bytes]]:
        if not self.out.exists():
            return []
        lines = [line.split() for line in self.out.read_text().splitlines()]
        return [(int(message), int(attempt), bytes.fromhex(data)) for message, attempt, data in lines]


@pytest.fixture
def shared(world: World, postgresql_url: str, tmp_path: Path) -> Shared:
    return Shared(world, postgresql_url, tmp_path)


def wait_until_stopped(process: "subprocess.Popen[bytes]") -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "the worker ended before it came to its halt"


def test_a_worker_stopped_before_the_send_gate_and_continued_sends_nothing_twice(shared: Shared) -> None:
    number = shared.world.mail(shared.world.person())
    with shared.worker("ready") as zombie:
        wait_until_stopped(zombie)
        assert shared.world.message(number).status == "ready"
        shared.later(3 * MINUTE)
        assert shared.world.recover()["freed"] == 1
        post = Post()
        assert shared.world.deliver(post)["sent"] == 1
        os.kill(zombie.pid, signal.SIGCONT)
        assert zombie.wait(30) == 0
    assert shared.mails() == []
    assert (shared.world.status(number), shared.world.message(number).attempt) == (("sent", ""), 2)
    assert shared.world.attempts() == [(number, 2, "sent")]


@pytest.mark.parametrize("measure", ["customer/any/offer", RECEIPT.path])
def test_a_worker_stopped_past_the_send_gate_and_continued_neither_sends_nor_overwrites(
    shared: Shared, measure: str
) -> None:
    number = shared.world.mail(shared.world.person(), measure)
    with shared.worker("on_wire") as zombie:
        wait_until_stopped(zombie)
        stopped = monotonic()
        assert shared.world.message(number).status == "on_wire"
        shared.later(13 * MINUTE)
        assert shared.world.recover()["in_doubt"] == 1
        shared.later(10 * MINUTE)
        is_receipt = measure == RECEIPT.path
        assert shared.world.recover()["retried"] == int(is_receipt)
        post = Post()
        shared.world.deliver(post)
        assert len(post.taken) == int(is_receipt)
        # The zombie's window is real time; let it be over.
        Event().wait(max(0.0, WINDOW_SECONDS + 0.1 - (monotonic() - stopped)))
        os.kill(zombie.pid, signal.SIGCONT)
        assert zombie.wait(30) == 0
    assert shared.mails() == []
    assert shared.world.status(number)[0] == ("sent" if is_receipt else "in_doubt")


def test_a_worker_killed_after_a_mail_left_leaves_it_in_doubt_and_no_worker_repeats_it(
    shared: Shared,
) -> None:
    number = shared.world.mail(shared.world.person())
    with shared.worker("sent") as worker:
        assert worker.wait(30) == -signal.SIGKILL
    assert shared.world.message(number).status == "on_wire"
    shared.later(13 * MINUTE)
    shared.world.recover()
    assert shared.world.status(number) == ("in_doubt", "in_doubt")
    shared.later(DAY)
    shared.world.recover()
    post = Post()
    shared.world.deliver(post)
    assert not post.taken
    assert len(shared.mails()) == 1


def test_a_receipt_killed_on_its_way_arrives_again_with_the_same_bytes(shared: Shared) -> None:
    number = shared.world.mail(shared.world.person(), RECEIPT.path)
    with shared.worker("sent") as worker:
        worker.wait(30)
    shared.later(13 * MINUTE)
    shared.world.recover()
    shared.later(10 * MINUTE)
    shared.world.recover()
    with shared.worker("never") as worker:
        assert worker.wait(30) == 0
    first, second = shared.mails()
    assert (first[0], first[1], second[1]) == (number, 1, 2)
    assert first[2] == second[2]
    assert shared.world.status(number) == ("sent", "")
