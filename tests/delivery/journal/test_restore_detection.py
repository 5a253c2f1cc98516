"""A database restored from a backup: nothing leaves before somebody says so, and nothing leaves twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.consent import record
from nurture.database import schema as t
from nurture.database.engine import open_database
from nurture.delivery.journal import queries, restore_detection
from nurture.delivery.journal.recovery import DatabaseRestoredError
from tests.delivery.builders import PATH
from tests.delivery.journal.backup import Backup, Kind
from tests.delivery.journal.sender import PLAYBOOK, RECEIPT, Sender
from tests.delivery.world import Post, World
from tests.rig.postgres import Postgres

KINDS: list[Kind] = ["sqlite file", "postgresql copy", "postgresql dump"]


@dataclass
class History:
    """Messages from before and after a backup, by their outcome."""

    world: World
    sender: Sender
    backup: Backup
    sent: int
    lost: dict[str, int]
    waiting: int
    # A person who was there at the backup, and got a mail that was decided after it.
    regular: int

    def restored(self) -> World:
        """Put the backup back, and return the world that goes on with it."""
        self.world.database.close()
        return replace(self.world, database=self.backup.restored())


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def history(kind: Kind, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    base = "sqlite" if kind == "sqlite file" else "postgresql"
    url = str(request.getfixturevalue(f"{base}_url"))
    postgres: Postgres | None = request.getfixturevalue("postgres") if base == "postgresql" else None
    world = World(open_database(url), PLAYBOOK)
    sender = Sender.begun(world, tmp_path / "journal")
    assert sender.look()["went_back"] == 0
    (sent,) = (world.mail(world.person("first")),)
    sender.world.deliver(Post())
    numbers = {name: world.mail(world.person(name)) for name in ("taken", "begun", "bounced")}
    numbers["receipt"] = world.mail(world.person("receipt"), RECEIPT.path)
    regular = world.person("regular")
    waiting = world.mail(world.person("waiting"), due_at=world.clock.now() + 1)
    world.database.close()
    backup = Backup(kind, url, tmp_path, postgres)
    mails = sender.gate()
    sender.reply(mails[numbers["taken"]], "250 2.0.0")
    sender.dot(mails[numbers["begun"]])
    sender.reply(mails[numbers["bounced"]], "550 5.1.1 <bounced@example.com> unknown")
    sender.dot(mails[numbers["receipt"]])
    for person in (regular, world.person("new")):
        number = world.mail(person)
        sender.reply(sender.gate()[number], "250")
    sender.die()
    yield History(world, sender, backup, sent, numbers, waiting, regular)
    world.database.close()


def stopped(world: World) -> bool:
    with world.database.read() as connection:
        return queries.is_stopped_after_restore(connection)


def go_on(world: World) -> None:
    def work(connection: sa.Connection) -> None:
        restore_detection.accept_database(connection)
        record.resume_after_restore(connection, actor="ops", now=world.clock.now())

    world.database.run(work)


def test_all_lanes_stop_until_an_operator_resumes_them_and_nothing_leaves_twice(history: History) -> None:
    world = history.restored()
    lost = history.lost
    assert world.status(lost["taken"]) == ("waiting", "")
    sender = Sender.begun(world, history.sender.folder)
    counts = sender.look()
    assert counts["went_back"] == 1
    assert (counts["sent"], counts["failed"], counts["in_doubt"], counts["unknown"]) == (1, 1, 2, 2)
    world.later(2)
    post = Post()
    sender.world.deliver(post)
    assert post.taken == []
    assert sender.look()["went_back"] == 0
    # An ordinary resume does not lift it.
    world.switch("all", paused=False)
    sender.world.deliver(post)
    assert post.taken == []
    assert stopped(world)
    # Messages that were decided after the backup are decided again.
    again = [world.mail(history.regular), world.mail(world.person("new"))]
    # The two that left after it were messages 7 and 8; their links and Message-IDs stay theirs.
    assert world.database.is_sqlite or min(again) > 8
    go_on(world)
    sender.world.deliver(post)
    assert [mail.message_id for mail in post.taken] == [history.waiting]
    assert world.status(history.sent)[0] == world.status(lost["taken"])[0] == "sent"
    assert world.status(lost["begun"])[0] == world.status(lost["receipt"])[0] == "in_doubt"
    assert world.status(lost["bounced"]) == ("failed", "hard_bounce")
    assert [world.status(number)[0] for number in again] == ["sent", "sent"]
    # Neither this process nor the next one stops again.
    assert sender.look()["went_back"] == 0
    other = Sender.begun(world, history.sender.folder)
    assert other.look()["went_back"] == 0
    number = world.mail(world.person("later"))
    other.world.deliver(post)
    assert world.status(number)[0] == "sent"
    for process in (sender, other):
        process.die()
    world.database.close()


def test_the_journal_alone_detects_a_restore_where_the_database_has_no_incarnation(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "read_incarnation", lambda _connection: "")
    world = history.restored()
    sender = Sender.begun(world, history.sender.folder)
    assert sender.look()["went_back"] == 1
    assert stopped(world)
    with world.database.read() as connection:
        reason = connection.scalar(sa.select(t.switches.c.reason).where(t.switches.c.name == "restored"))
    assert reason == (
        f"the journal {history.sender.world.worker} knows 4 windows of mails and the database 1: "
        "an older copy of the database runs"
    )
    sender.die()
    world.database.close()


@pytest.mark.parametrize("kind", ["postgresql copy", "postgresql dump"], indirect=True)
def test_postgresql_tells_by_itself_where_no_journal_is_at_hand(history: History, tmp_path: Path) -> None:
    world = history.restored()
    sender = Sender.begun(world, tmp_path / "another machine")
    assert sender.look()["went_back"] == 1
    with world.database.read() as connection:
        assert queries.list_unread_senders(connection) == [history.sender.world.worker]
    sender.die()
    world.database.close()


def test_a_sender_whose_database_is_put_back_under_it_sends_nothing_more(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "read_incarnation", lambda _connection: "")
    world = history.world
    sender = Sender.begun(world, history.sender.folder)
    sender.world.deliver(Post())
    database = history.restored().database
    sender.world.database = database
    world.database = database
    number = world.mail(world.person("later"), decided_at=world.clock.now())
    post = Post()
    with pytest.raises(DatabaseRestoredError):
        sender.world.deliver(post)
    assert post.taken == []
    assert stopped(world)
    # It is still there and tells what it knows; then it may go on under its own name.
    sender.look()
    go_on(world)
    sender.world.deliver(post)
    assert number in {mail.message_id for mail in post.taken}
    sender.die()


def test_another_database_beside_old_journals_is_not_one_that_went_back(
    history: History, request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path
) -> None:
    fresh = tmp_path / "fresh.db"
    fresh.write_bytes(sqlite_template.read_bytes())
    world = World(open_database(f"sqlite:///{fresh}"), PLAYBOOK)
    sender = Sender.begun(world, history.sender.folder)
    assert sender.look() == {}
    assert not stopped(world)
    number = world.mail(world.person(), PATH)
    sender.world.deliver(Post())
    assert world.status(number)[0] == "sent"
    sender.die()
    world.database.close()
