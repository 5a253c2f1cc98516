"""The journals as operators see them: the doctor's findings, going on after a restore, a sender that cannot start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nurture.app import journals as asked
from nurture.app.services import Services
from nurture.consent import record
from nurture.database.engine import Database
from nurture.delivery.journal import file_format, queries
from nurture.domain.errors import SettingsError
from tests.cli.shell import Shell
from tests.delivery.journal.backup import Backup
from tests.delivery.journal.sender import PLAYBOOK, Sender
from tests.delivery.world import Post, World
from tests.workers.installation import bare, environment, settings_of
from tests.workers.test_worker import worker
from workers.embedded import Embedded


@pytest.fixture
def world(database: Database) -> World:
    return World(database, PLAYBOOK)


@pytest.fixture
def services(world: World, database_url: str, tmp_path: Path) -> Services:
    return bare(world.database, settings_of(tmp_path, database_url), clock=world.clock)


@pytest.fixture
def sender(world: World, tmp_path: Path) -> Iterator[Sender]:
    sender = Sender.begun(world, tmp_path / "journal")
    yield sender
    sender.die()


def findings(services: Services) -> list[str]:
    return list(asked.find_faults(services))


def test_the_doctor_compares_journals_with_the_ledger(
    world: World, services: Services, sender: Sender
) -> None:
    assert findings(services) == []
    first, second = world.mail(world.person()), world.mail(world.person("bob"))
    mails = sender.gate()
    for number in (first, second):
        sender.reply(mails[number], "250 2.0.0")
    # It is being settled by whoever sent it.
    assert findings(services) == []
    with world.database.write() as connection:
        connection.exec_driver_sql("UPDATE messages SET status = 'waiting', lease_owner = NULL WHERE id = 1")
        connection.exec_driver_sql("UPDATE messages SET status = 'sent', lease_owner = NULL WHERE id = 2")
    assert findings(services) == [
        f"message {first} is waiting, but by the journal of {sender.world.worker} the server accepted attempt 1"
    ]


def test_the_doctor_tells_of_damage_of_a_stop_and_of_a_folder_that_is_none(
    world: World, services: Services, sender: Sender, tmp_path: Path
) -> None:
    (path,) = file_format.list_parts(sender.folder, sender.world.worker)
    path.write_bytes(path.read_bytes() + b"d 1 1 00000000\n")
    assert findings(services) == [f"{path}: 1 lines cannot be read"]
    world.database.run(
        lambda c: record.stop_after_restore(c, reason="for a test", actor="test", now=world.clock.now())
    )
    assert "all lanes are stopped after a restore" in findings(services)[0]
    (tmp_path / "file").write_text("")
    elsewhere = bare(
        world.database,
        services.settings.model_copy(update={"journal": str(tmp_path / "file")}),
        clock=world.clock,
    )
    (finding,) = findings(elsewhere)
    assert finding.startswith("NURTURE_JOURNAL: ")


def test_resume_after_a_restore_folds_the_journals_in_first(
    nurture: Shell, sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    for name, value in environment(tmp_path, sqlite_url).items():
        nurture.set(name.removeprefix("NURTURE_"), value)
    world = World(sqlite_database, PLAYBOOK)
    number = world.mail(world.person())
    sender = Sender.begun(world, tmp_path / "journal")
    world.database.close()
    backup = Backup("sqlite file", sqlite_url, tmp_path, None)
    sender.reply(sender.gate()[number], "250 2.0.0")
    sender.die()
    world.database.close()
    world.database = backup.restored()
    other = Sender.begun(world, tmp_path / "another machine")
    world.database.run(
        lambda c: record.stop_after_restore(c, reason="for a test", actor="test", now=world.clock.now())
    )
    assert world.status(number)[0] == "waiting"
    result = nurture("resume", "all", "--after-restore", "--json")
    assert (result.code, result.document["journals"]) == (0, {"sent": 1, "journals": 1})
    assert world.status(number)[0] == "sent"
    with world.database.read() as connection:
        assert not queries.is_stopped_after_restore(connection)
    other.die()
    world.database.close()


def test_resume_asks_about_unread_journals(
    nurture: Shell, sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    for name, value in environment(tmp_path, sqlite_url).items():
        nurture.set(name.removeprefix("NURTURE_"), value)
    world = World(sqlite_database, PLAYBOOK)
    world.mail(world.person())
    elsewhere = Sender.begun(world, tmp_path / "another machine")
    elsewhere.world.deliver(Post())
    elsewhere.die()
    world.database.run(
        lambda c: record.stop_after_restore(c, reason="for a test", actor="test", now=world.clock.now())
    )
    result = nurture("resume", "all", "--after-restore")
    assert result.code == 2
    assert "The delivery journals of 1 workers on" in result.line()
    assert "add --yes" in result.line()
    with world.database.read() as connection:
        assert queries.is_stopped_after_restore(connection)
    assert nurture("resume", "all", "--after-restore", "--yes").code == 0
    with world.database.read() as connection:
        assert not queries.is_stopped_after_restore(connection)


def test_where_no_journal_can_be_written_no_sender_starts(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, sqlite_url, journal="/dev/null/journal")
    with pytest.raises(SettingsError, match=r"NURTURE_JOURNAL: /dev/null/journal: .*Not a directory"):
        Embedded(bare(sqlite_database, settings)).start()
    with worker(tmp_path, environment(tmp_path, sqlite_url, journal="/dev/null/journal")) as process:
        process.wait(30)
    log = (tmp_path / "worker.log").read_text()
    assert process.returncode == 2, log
    assert "NURTURE_JOURNAL: /dev/null/journal" in log
    assert "Traceback" not in log


def test_the_folder_stands_beside_a_sqlite_file_unless_it_is_set(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    given = environment(tmp_path, url)
    del given["NURTURE_JOURNAL"]
    from nurture.runtime.settings import load_settings

    assert load_settings(folder=tmp_path, environment=given).journal_folder == tmp_path / "shop.db.journal"
    given["NURTURE_DATABASE_URL"] = "postgresql://nurture@db/nurture"
    assert load_settings(folder=tmp_path, environment=given).journal_folder == Path("journal")
    given["NURTURE_JOURNAL"] = "/var/lib/nurture/journal"
    assert load_settings(folder=tmp_path, environment=given).journal_folder == Path(
        "/var/lib/nurture/journal"
    )
