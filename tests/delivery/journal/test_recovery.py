"""Mails of a killed sender are settled by how far its journal says each got."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.journal import file_format
from nurture.delivery.journal.writer import Journal
from nurture.delivery.types import WIRE_LEASE
from nurture.domain.instant import MINUTE, SECOND
from nurture.transports.types import Outcome, OutgoingMail
from tests.delivery.builders import PATH
from tests.delivery.journal.sender import PLAYBOOK, RECEIPT, Sender
from tests.delivery.world import Post, World, outcome


@pytest.fixture
def world(database: Database) -> World:
    return World(database, PLAYBOOK)


@pytest.fixture
def dying(world: World, tmp_path: Path) -> Sender:
    return Sender.begun(world, tmp_path / "journal")


@pytest.fixture
def other(world: World, tmp_path: Path) -> Iterator[Sender]:
    sender = Sender.begun(world, tmp_path / "journal")
    yield sender
    sender.die()


def store_mails(world: World, count: int, measure: str = PATH) -> list[int]:
    return [world.mail(world.person(f"p{number}"), measure) for number in range(count)]


def test_each_mail_gets_the_outcome_in_its_journal(world: World, dying: Sender, other: Sender) -> None:
    never, begun, taken, refused, later = store_mails(world, 5)
    mails = dying.gate()
    dying.dot(mails[begun])
    dying.reply(mails[taken], "250 2.0.0")
    dying.reply(mails[refused], "550 5.1.1 no such user")
    dying.reply(mails[later], "451 4.3.0 try again in 30 minutes")
    gate_at = world.message(taken).sent_at
    dying.die()
    counts = other.look()
    assert counts == {
        "not_begun": 1, "in_doubt": 1, "sent": 1, "failed": 1, "retry": 1, "journals": 1,
    }  # fmt: skip
    assert world.status(never) == ("waiting", "not_begun")
    assert world.message(never).due_at == world.clock.now()
    assert world.status(begun) == ("in_doubt", "in_doubt")
    assert world.status(taken) == ("sent", "")
    assert (world.message(taken).sent_at, world.message(taken).lease_owner) == (gate_at, None)
    assert world.status(refused) == ("failed", "hard_bounce")
    assert world.status(later) == ("waiting", "retry")
    assert world.message(later).due_at >= world.clock.now() + 30 * MINUTE
    with world.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.suppressions)) == 1
    assert sorted(world.attempts()) == [
        (begun, 1, "in_doubt"), (taken, 1, "sent"), (refused, 1, "failed"), (later, 1, "retry"),
    ]  # fmt: skip
    # Told once; whoever looks again finds nothing.
    assert other.look() == {}


def test_a_mail_that_never_began_leaves_once_and_at_once(world: World, dying: Sender, other: Sender) -> None:
    numbers = store_mails(world, 3)
    dying.gate()
    dying.die()
    other.look()
    post = Post()
    other.world.deliver(post)
    assert sorted(mail.message_id for mail in post.taken) == numbers
    assert {world.status(number)[0] for number in numbers} == {"sent"}


def test_claimed_mails_of_a_dead_sender_are_free_before_their_lease_ends(
    world: World, dying: Sender, other: Sender
) -> None:
    (number,) = store_mails(world, 1)
    dying.world.claim()
    assert world.status(number)[0] == "ready"
    dying.die()
    assert other.look()["not_begun"] == 1
    assert world.status(number) == ("waiting", "not_begun")


def test_no_process_settles_mails_of_a_living_sender(world: World, dying: Sender, other: Sender) -> None:
    (number,) = store_mails(world, 1)
    dying.gate()
    assert other.look() == {}
    assert world.status(number)[0] == "on_wire"
    # Stopped for longer than its lease: nobody knows how far it got, and nobody sends it again.
    world.later(WIRE_LEASE + SECOND)
    assert other.look() == {}
    world.recover()
    assert world.status(number)[0] == "in_doubt"
    dying.die()


def test_without_access_to_the_journal_it_is_in_doubt(world: World, dying: Sender, tmp_path: Path) -> None:
    begun, never = store_mails(world, 2)
    dying.dot(dying.gate()[begun])
    dying.die()
    elsewhere = Sender.begun(world, tmp_path / "another machine")
    assert elsewhere.look() == {}
    world.later(WIRE_LEASE + SECOND)
    assert elsewhere.look() == {}
    world.recover()
    assert {world.status(number)[0] for number in (begun, never)} == {"in_doubt"}
    elsewhere.die()


def test_after_a_restart_of_the_machine_a_journal_proves_replies_and_no_silence(
    world: World, dying: Sender, other: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, taken = store_mails(world, 2)
    dying.reply(dying.gate()[taken], "250 2.0.0")
    dying.die()
    monkeypatch.setattr(file_format, "read_boot_id", lambda: "after the power came back")
    assert other.look()["sent"] == 1
    # Its last lines may not have reached the disk: silence proves nothing.
    assert world.status(silent)[0] == "on_wire"
    world.later(WIRE_LEASE + SECOND)
    world.recover()
    assert (world.status(silent)[0], world.status(taken)[0]) == ("in_doubt", "sent")


def test_a_journal_with_a_line_that_cannot_be_read_proves_no_silence(
    world: World, dying: Sender, other: Sender
) -> None:
    begun, never, taken = store_mails(world, 3)
    mails = dying.gate()
    dying.dot(mails[begun])
    dying.reply(mails[taken], "250")
    dying.die()
    (path,) = file_format.list_parts(dying.folder, dying.world.worker)
    path.write_bytes(path.read_bytes().replace(b"d %d 1" % begun, b"d %d 2" % begun))
    assert other.look()["sent"] == 1
    assert {world.status(number)[0] for number in (begun, never)} == {"on_wire"}
    world.later(WIRE_LEASE + SECOND)
    world.recover()
    assert {world.status(number)[0] for number in (begun, never)} == {"in_doubt"}


def test_a_journal_read_late_settles_a_doubt(world: World, dying: Sender, other: Sender) -> None:
    begun, taken, bounced = store_mails(world, 3)
    mails = dying.gate()
    dying.dot(mails[begun])
    dying.reply(mails[taken], "250")
    dying.reply(mails[bounced], "550 5.1.1 no such user")
    world.later(WIRE_LEASE + SECOND)
    world.recover()
    assert {world.status(number)[0] for number in (begun, taken, bounced)} == {"in_doubt"}
    dying.die()
    counts = other.look()
    assert (counts["sent"], counts["failed"], counts["in_doubt"]) == (1, 1, 0)
    assert world.status(begun)[0] == "in_doubt"
    assert world.status(taken) == ("sent", "")
    assert world.status(bounced) == ("failed", "hard_bounce")


def test_transactional_mail_in_doubt_waits_for_evidence_and_leaves_again(
    world: World, dying: Sender, other: Sender
) -> None:
    (number,) = store_mails(world, 1, RECEIPT.path)
    (mail,) = dying.gate().values()
    dying.dot(mail)
    dying.die()
    other.look()
    assert world.message(number).due_at == world.clock.now() + 10 * MINUTE
    world.later(10 * MINUTE)
    world.recover()
    post = Post()
    other.world.deliver(post)
    # The same bytes and Message-ID.
    assert [again.data for again in post.taken] == [mail.data]
    assert world.status(number)[0] == "sent"


def test_a_waiting_run_learns_of_the_outcome(world: World, dying: Sender, other: Sender) -> None:
    ada = world.person()
    number = world.mail(ada, mailing=True)
    dying.reply(dying.gate()[number], "250")
    dying.die()
    assert world.contact(ada).wake_at != world.clock.now()
    other.look()
    assert world.contact(ada).wake_at == world.clock.now()


def test_a_broken_off_delivery_is_settled_by_its_own_process(world: World, other: Sender) -> None:
    numbers = store_mails(world, 4)
    assert other.world.journal
    journal: Journal = other.world.journal

    class Breaks(Post):
        """Takes two letters, is answered for one and breaks off before anybody has heard of it."""

        def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
            for place, mail in enumerate(mails):
                self.taken.append(mail)
                journal.record_stage(mail, "dot", "")
                if place == 1:
                    raise ConnectionError
                journal.record_stage(mail, "replied", "250")
            yield outcome(self.taken[0])

    post = Breaks()
    with pytest.raises(ConnectionError):
        other.world.deliver(post)
    again = Post()
    other.world.deliver(again)
    taken, doubtful = (mail.message_id for mail in post.taken)
    assert world.status(taken)[0] == "sent"
    assert world.status(doubtful)[0] == "in_doubt"
    assert {mail.message_id for mail in again.taken} == set(numbers) - {taken, doubtful}
    assert journal.in_flight("main") == {}
