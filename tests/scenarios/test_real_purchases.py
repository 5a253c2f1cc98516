"""Eighteen months of real purchases: imported, imported again, shuffled, historic, and played live."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app import doctor
from nurture.app.importing import ImportOptions, ImportResult, import_file
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, parse_iso
from nurture.domain.retention import compute_retention
from nurture.domain.sampling import hash_share
from nurture.journey.retention import retain
from nurture.reports import ledger
from nurture.runtime.clock import ManualClock
from tests.rig import databases
from tests.scenarios.cdnow import Purchases, purchase_input, purchases, quiet_buyers, rows_of_slice, write
from tests.scenarios.world import World

ROWS = rows_of_slice()


def stored(database: Database) -> Purchases:
    """Return the totals in the facts of all contacts."""
    with database.read() as connection:
        facts = [
            row.facts
            for row in connection.execute(
                sa.select(t.contacts.c.facts).where(t.contacts.c.survivor.is_(None))
            )
        ]
    return Purchases(len(facts), sum(f["orders"] for f in facts), sum(f["spent"] for f in facts))


def load_positions(database: Database) -> dict[str, tuple[object, ...]]:
    """Return address -> track, stage and facts of every contact."""
    c = t.contacts.c
    with database.read() as connection:
        rows = connection.execute(sa.select(c.email, c.track, c.stage, c.facts).where(c.survivor.is_(None)))
        return {row.email: (row.track, row.stage, row.facts) for row in rows}


def import_events(world: World, path: Path, *, historic: bool) -> ImportResult:
    """Import a file of events and apply it."""
    outcome = import_file(world.services, path, ImportOptions(historic=historic), actor="cli:test")
    world.work()
    return outcome


@pytest.fixture(scope="module")
def imported_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file into which the rows were imported in their order, as history."""
    folder = tmp_path_factory.mktemp("imported")
    with databases.sqlite_copy(sqlite_template, folder) as url:
        with databases.opened(url) as database:
            import_events(World(database), write(folder / "orders.csv", ROWS), historic=True)
        path = folder / "nurture.db"
        databases.into_one_file(path)
        return path


@pytest.fixture
def imported(imported_file: Path, tmp_path: Path) -> Iterator[Database]:
    """Give a SQLite database into which the rows were imported in their order, as history."""
    with databases.sqlite_copy(imported_file, tmp_path) as url, databases.opened(url) as database:
        yield database


def test_every_order_and_cent_arrives_and_a_second_import_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    world = World(database)
    path = write(tmp_path / "orders.csv", ROWS)
    import_events(world, path, historic=True)
    assert stored(database) == purchases(ROWS)
    before = load_positions(database)
    assert {place[0] for place in before.values()} == {"customer"}
    assert import_events(world, path, historic=True).already_done
    copied = write(tmp_path / "again.csv", [*ROWS, ROWS[0]])
    import_events(world, copied, historic=True)
    assert load_positions(database).keys() == before.keys()
    # The repeated row names an order that is known.
    assert stored(database) == purchases(ROWS)


def test_shuffled_rows_give_the_same_facts_tracks_and_stages(
    imported: Database, postgresql_database: Database, tmp_path: Path
) -> None:
    shuffled = World(postgresql_database)
    mixed = sorted(ROWS, key=lambda row: hash_share(row["order_id"]))
    import_events(shuffled, write(tmp_path / "mixed.csv", mixed), historic=True)
    assert load_positions(postgresql_database) == load_positions(imported)


def test_a_historic_import_sends_nothing_also_not_within_the_year_after(imported: Database) -> None:
    world = World(imported)
    assert stored(imported) == purchases(ROWS)
    world.live(365 * DAY)
    assert world.ledger() == []


def test_lived_through_live_each_gets_what_the_playbook_says(
    sqlite_database: Database, tmp_path: Path
) -> None:
    users = sorted({row["user_id"] for row in ROWS})[::12]
    rows = [row for row in ROWS if row["user_id"] in users]
    world = World(sqlite_database, clock=ManualClock(parse_iso("1997-01-01T00:00:00Z")))
    people = [
        {"user_id": user, "email": f"{user}@customers.example", "consent_offers": "granted"} for user in users
    ]
    contacts = write(tmp_path / "people.csv", people)
    import_file(world.services, contacts, ImportOptions(kind="contacts"), actor="cli:test")
    inputs = sorted((purchase_input(world, row) for row in rows), key=lambda entry: entry.at)
    world.stage.tick = DAY // 24
    world.play(*inputs, until=parse_iso("1998-09-01T00:00:00Z"))
    assert stored(sqlite_database) == purchases(rows)
    names = {name for _, name, _, _ in world.ledger()}
    assert not [name for name in names if name.startswith("lead/")]
    with sqlite_database.read() as connection:
        measures = {row["measure"]: row for row in ledger.count_by_measure(connection)}
        coupons = set(
            connection.execute(
                sa.select(t.contacts.c.email)
                .join(t.runs, t.runs.c.contact_id == t.contacts.c.id)
                .where(t.runs.c.measure == "customer/any/second_order_coupon")
            ).scalars()
        )
    assert measures["customer/any/order_confirmation"]["sent"] == len(rows)
    assert coupons == {f"{user}@customers.example" for user, _ in quiet_buyers(rows)}
    run_retention(world)
    assert [finding for finding in doctor.examine(world.services, replayed=50) if not finding["ok"]] == []


def run_retention(world: World) -> None:
    """Remove data past its retention period, as the scheduler does every minute."""
    services = world.services

    def work(connection: sa.Connection) -> Counts:
        playbook = services.playbooks.active(connection).playbook
        keep = compute_retention(services.settings.retention)
        return retain(connection, now=services.clock.now(), keep=keep, playbook=playbook)

    while services.database.run(work).more:
        pass
