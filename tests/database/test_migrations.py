"""Migrations build exactly what `database/schema.py` says, and lead back, on both databases."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.database import migrations
from nurture.database.engine import Database, open_database
from nurture.database.schema import lanes, metadata, shards
from nurture.domain.errors import SettingsError
from tests.rig.databases import opened
from tests.rig.postgres import Postgres

_SQLITE = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT IN ('alembic_version')"
_POSTGRESQL = """
SELECT format('%s.%s %s null=%s default=%s identity=%s', table_name, column_name, data_type, is_nullable,
              column_default, is_identity)
  FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
"""


def shape(connection: sa.Connection) -> set[str]:
    """Return the database's own words for its tables, columns, defaults, constraints and indexes."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    return {_unordered(" ".join(row.split())) for row in connection.scalars(sa.text(query))}


def _unordered(definition: str) -> str:
    """Sort the parts of a CREATE TABLE: the order of its constraints carries no meaning."""
    head, bracket, body = definition.partition("(")
    if not head.startswith("CREATE TABLE"):
        return definition
    return head + bracket + ", ".join(sorted(part.strip() for part in body.rstrip(")").split(", ")))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        with opened(f"sqlite:///{tmp_path}/empty.db") as database:
            yield database
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.create()
    with opened(postgres.url(name)) as database:
        yield database
    postgres.drop(name)


def test_first_start_builds_exactly_the_tables(empty: Database) -> None:
    migrations.upgrade(empty)
    with empty.read() as connection:
        built = shape(connection)
        assert connection.scalars(sa.select(shards.c.id).order_by(shards.c.id)).all() == list(range(128))
        assert connection.scalars(sa.select(lanes.c.name)).all() == ["main"]
    migrations.downgrade(empty, "base")
    with empty.write() as connection:
        metadata.create_all(connection)
        assert shape(connection) == built


def test_up_down_and_up_again(empty: Database) -> None:
    assert migrations.upgrade(empty) == migrations.HEAD
    with empty.read() as connection:
        built = shape(connection)
    assert migrations.upgrade(empty) == migrations.HEAD
    assert migrations.downgrade(empty, "base") == ""
    with empty.read() as connection:
        assert shape(connection) == set()
    migrations.upgrade(empty)
    with empty.read() as connection:
        assert shape(connection) == built


def test_failing_migration_changes_nothing(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(sa.text("CREATE TABLE watches (id INTEGER)"))
        before = shape(connection)
    with pytest.raises(sa.exc.DBAPIError):
        migrations.upgrade(empty)
    with empty.read() as connection:
        assert migrations.current(connection) == ""
        assert shape(connection) == before


def test_process_tells_what_to_run_when_the_shape_is_another(empty: Database) -> None:
    with pytest.raises(SettingsError, match="nurture migrate"):
        migrations.require_current(empty)
    migrations.upgrade(empty)
    migrations.require_current(empty)


def test_wrong_folder_is_told_and_no_file_is_made(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/absent.db")
    with pytest.raises(SettingsError, match="there is no database"):
        migrations.require_current(database)
    assert not list(tmp_path.iterdir())


def test_runs_that_can_still_send_get_the_entity_that_their_key_or_their_event_names() -> None:
    migration = importlib.import_module("nurture.database.migrations.versions.0017_run_entity")
    files = {
        "playbook.yaml": "facts: {appointment: {entity: appointment_id}, cart: {entity: cart_id}}",
        "any/a/measure.yaml": "entity: appointment\ntrigger: {event: Appointment Booked}\nonce: per event",
        "any/b/measure.yaml": "trigger: {quiet: 2h, entity: cart}",
        "any/c/measure.yaml": "trigger: ops",
    }
    measures = {measure.path: measure for measure in migration._measures(files)}
    assert sorted(measures) == ["any/a", "any/b"]

    def key(path: str, stored: str, **properties: object) -> str:
        return str(migration._key_of(measures[path], stored, {"properties": properties}))

    assert key("any/a", "message-7", appointment_id="a1") == "a1"
    assert key("any/a", "message-7") == ""
    assert key("any/b", "c1") == "c1"


def test_an_older_version_says_that_it_is_too_old_and_only_its_workers_go_on(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9000'"))
    with pytest.raises(SettingsError, match=r"at revision 9000 of a newer version.* start the newer version"):
        migrations.require_current(database)
    migrations.require_current(database, or_newer=True)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(SettingsError, match="run `nurture migrate`"):
        migrations.require_current(database, or_newer=True)
