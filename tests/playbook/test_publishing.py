"""Publishing on both databases: workers load the playbook as it was built; one row names the active one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.installation import open_services
from nurture.database import migrations
from nurture.database.audit import find_tampering
from nurture.database.engine import Database
from nurture.database.schema import active_playbook, audit, playbooks, set_aside_measures
from nurture.domain.errors import NotFoundError, PlaybookError
from nurture.playbook import FixedPlaybook, LoadedPlaybook, PublishedPlaybooks, build, publish, rollback
from nurture.playbook import queries as store
from nurture.playbook.hashes import canonical_value
from nurture.runtime.settings import load_settings
from tests.playbook.builder import a_playbook, changed

GUIDE = "lead/aware/guide/measure.yaml"
NOW = 1_780_000_000_000_000


def other_words() -> dict[str, str]:
    return changed(GUIDE, "goal: readers", "goal: more readers")


def other_rules() -> dict[str, str]:
    return changed(GUIDE, "wait: 2d", "wait: 3d")


def active(database: Database, source: PublishedPlaybooks | None = None) -> LoadedPlaybook:
    with database.read() as connection:
        return (source or PublishedPlaybooks()).active(connection)


def woken(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(active_playbook.c.woken)).scalar_one())


def wake_up_to(database: Database, contact_id: int) -> None:
    with database.write() as connection:
        connection.execute(sa.update(active_playbook).values(woken=contact_id))


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_a_published_playbook_loads_as_it_was_built(database: Database) -> None:
    built = build(a_playbook())
    id_ = publish(database, a_playbook(), now=NOW, actor="ops", backlog="none")
    loaded = active(database)
    assert (loaded.id, loaded.files) == (id_, a_playbook())
    assert canonical_value(loaded.playbook) == canonical_value(built.playbook)
    assert loaded.playbook.measures.keys() == built.playbook.measures.keys()
    for path, measure in built.playbook.measures.items():
        assert loaded.playbook.measures[path] == measure
    assert loaded.playbook.vocabulary.terms == built.playbook.vocabulary.terms
    assert loaded.playbook.content_hash == built.playbook.content_hash
    assert loaded.playbook.rules_hash == built.playbook.rules_hash


def test_before_the_first_there_is_none(database: Database) -> None:
    with pytest.raises(NotFoundError, match="nurture playbook publish"):
        active(database)
    with pytest.raises(NotFoundError, match="none to go back to"):
        rollback(database, now=NOW, actor="ops")
    with database.read() as connection:
        assert PublishedPlaybooks().active_id(connection) is None


def test_a_playbook_with_faults_leaves_everything_as_it_was(database: Database) -> None:
    first = publish(database, a_playbook(), now=NOW, actor="ops")
    with pytest.raises(PlaybookError) as caught:
        publish(database, changed(GUIDE, "form: guide", "form: gude"), now=NOW, actor="ops")
    assert len(caught.value.faults) == 1
    assert active(database).id == first
    assert count(database, playbooks) == 1


def test_only_changed_rules_wake_people(database: Database) -> None:
    publish(database, a_playbook(), now=NOW, actor="ops")
    wake_up_to(database, 70)
    words = publish(database, other_words(), now=NOW, actor="ops")
    assert (active(database).id, woken(database)) == (words, 70)
    publish(database, other_rules(), now=NOW, actor="ops")
    assert woken(database) == 0


def test_publishing_the_same_again_changes_nothing(database: Database) -> None:
    first = publish(database, a_playbook(), now=NOW, actor="ops")
    wake_up_to(database, 70)
    assert publish(database, a_playbook(), now=NOW + 1, actor="ops") == first
    assert (count(database, playbooks), count(database, audit), woken(database)) == (1, 1, 70)


def test_the_same_rules_again_try_what_is_set_aside_again(sqlite_database: Database) -> None:
    database = sqlite_database
    first = publish(database, a_playbook(), now=NOW, actor="ops")
    with database.write() as connection:
        row = {
            "contact_id": 7,
            "measure": "any/guide",
            "at": NOW,
            "reason": "x",
            "event": "",
            "rules_hash": "r",
        }
        connection.execute(set_aside_measures.insert().values(row))
    for files in (a_playbook(), other_words()):
        wake_up_to(database, 70)
        publish(database, files, now=NOW, actor="ops")
        assert woken(database) == 0
    assert (first, count(database, playbooks), count(database, audit)) == (1, 2, 3)


def test_entering_the_backlog_is_a_publication_of_its_own(database: Database) -> None:
    publish(database, a_playbook(), now=NOW, actor="ops")
    assert active(database).playbook.backlog == "none"
    wake_up_to(database, 70)
    publish(database, a_playbook(), now=NOW, actor="ops", backlog="enter")
    assert (active(database).playbook.backlog, woken(database)) == ("enter", 0)


def test_rollback_is_one_step_back_and_a_row_of_its_own(database: Database) -> None:
    first = publish(database, a_playbook(), now=NOW, actor="ops")
    second = publish(database, other_rules(), now=NOW + 1, actor="ops")
    wake_up_to(database, 70)
    back = rollback(database, now=NOW + 2, actor="ops")
    assert back > second > first
    assert active(database).files == a_playbook()
    assert woken(database) == 0
    publish(database, other_words(), now=NOW + 3, actor="ops")
    rollback(database, now=NOW + 4, actor="ops")
    assert active(database).files == a_playbook()
    rollback(database, now=NOW + 5, actor="ops", to=second)
    assert active(database).files == other_rules()
    with pytest.raises(NotFoundError, match="there is no playbook 999"):
        rollback(database, now=NOW, actor="ops", to=999)


def test_every_activation_stands_in_the_audit_log(database: Database) -> None:
    publish(database, a_playbook(), now=NOW, actor="anna")
    publish(database, other_words(), now=NOW + 1, actor="ben")
    rollback(database, now=NOW + 2, actor="carla")
    with database.read() as connection:
        rows = connection.execute(sa.select(audit.c.at, audit.c.actor, audit.c.action).order_by(audit.c.id))
        assert [tuple(row) for row in rows] == [
            (NOW, "anna", "playbook.publish"),
            (NOW + 1, "ben", "playbook.publish"),
            (NOW + 2, "carla", "playbook.rollback"),
        ]
        assert find_tampering(connection) is None
        assert [row.actor for row in store.history(connection)] == ["carla", "ben", "anna"]


def test_a_process_loads_each_playbook_once_and_sees_the_next_at_once(database: Database) -> None:
    source = PublishedPlaybooks()
    first = publish(database, a_playbook(), now=NOW, actor="ops")
    loaded = active(database, source)
    assert active(database, source) is loaded
    second = publish(database, other_words(), now=NOW, actor="ops")
    assert active(database, source).id == second
    with database.read() as connection:
        assert source.of(connection, first) is loaded
        with pytest.raises(NotFoundError, match="there is no playbook 999"):
            source.of(connection, 999)


@pytest.mark.parametrize("template_cache", ["on", "off"])
def test_the_setting_reaches_the_templates_of_a_published_playbook(
    tmp_path: Path, template_cache: str
) -> None:
    environment = {
        "NURTURE_DATABASE_URL": f"sqlite:///{tmp_path}/n.db",
        "NURTURE_SECRET_KEY": "secret" * 6,
        "NURTURE_TEMPLATE_CACHE": template_cache,
    }
    services = open_services(load_settings(folder=tmp_path, environment=environment))
    migrations.upgrade(services.database)
    publish(services.database, a_playbook(), now=NOW, actor="ops")
    with services.database.read() as connection:
        templates = services.playbooks.active(connection).templates
    services.close()
    assert templates.has_cache == (template_cache == "on")


def test_many_publishers_at_once_leave_one_active_and_a_whole_log(database: Database) -> None:
    files = [changed(GUIDE, "wait: 2d", f"wait: {days}d") for days in range(3, 7)]

    def work(each: dict[str, str]) -> int:
        return publish(database, each, now=NOW, actor="ops")

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(work, files))
    assert len(set(ids)) == 4
    # The last to be inserted is the active one: nobody overtakes.
    assert active(database).id == max(ids)
    with database.read() as connection:
        assert find_tampering(connection) is None


def test_a_fixed_playbook_is_always_the_active_one(sqlite_database: Database) -> None:
    loaded = build(a_playbook())
    source = FixedPlaybook(loaded)
    with sqlite_database.read() as connection:
        assert source.active(connection) is loaded is source.of(connection, 7)
        assert source.active_id(connection) == 0


def test_stricter_checks_of_a_later_version_do_not_stop_workers(database: Database) -> None:
    # As if published before the check on subjects existed.
    publish(database, a_playbook(), now=NOW, actor="ops")
    path = "lead/aware/guide/guide.en.mjml"
    files = changed(path, 'subject: "Good to know"', f'subject: "{"x" * 80}"')
    with pytest.raises(PlaybookError):
        build(files)
    with database.write() as connection:
        row = store.publication(connection, 1)
        assert row is not None
        store.activate(connection, store.insert(connection, row, files), wake=False)
    assert active(database).files == files
