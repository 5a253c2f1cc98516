"""The first consent starts the measure of its topic once, whichever way it is recorded; a withdrawal ends it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nurture.app import contacts
from nurture.app.importing import ImportOptions, import_file
from nurture.consent.from_pages import PageAct, confirm_topic, find_page_contact, withdraw_topic
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from tests.scenarios.world import SECRET, World

ADA = "ada@shop.example"
WELCOME = "lead/any/welcome_series/welcome"
Act = Callable[[World, Path], None]


def by_command(state: str) -> Act:
    def act(world: World, _: Path) -> None:
        contacts.consent(world.services, ADA, "news", state, actor="cli:test", evidence="she rang")

    return act


def by_page(state: str) -> Act:
    def act(world: World, _: Path) -> None:
        done = PageAct(world.now, {}, SECRET.encode())

        def work(connection: object) -> None:
            person = find_page_contact(connection, 1)  # type: ignore[arg-type]
            assert person is not None
            change = confirm_topic if state == "granted" else withdraw_topic
            change(connection, person, "news", done)  # type: ignore[arg-type]

        world.database.run(work)

    return act


def by_event(name: str) -> Act:
    return lambda world, _: world.tell(ADA, name, topic="news")


def by_file(world: World, folder: Path) -> None:
    path = folder / "people.csv"
    path.write_text(f"email\n{ADA}\n")
    options = ImportOptions("contacts", set={"status": "subscribed", "topic": "news"})
    import_file(world.services, path, options, actor="cli:test")


@pytest.fixture
def world(sqlite_database: Database) -> World:
    world = World(sqlite_database)
    world.tell(ADA, "Identified", traits={"email": ADA})
    world.work()
    return world


@pytest.mark.parametrize(
    ("grant", "withdraw"),
    [
        (by_command("granted"), by_command("withdrawn")),
        (by_page("granted"), by_page("withdrawn")),
        (by_event("Topic Confirmed"), by_event("Unsubscribed")),
        (by_command("granted"), by_page("withdrawn")),
    ],
    ids=["command", "page", "event", "command and page"],
)
def test_the_first_consent_is_welcomed_once(world: World, tmp_path: Path, grant: Act, withdraw: Act) -> None:
    for act in (grant, grant, withdraw, grant):
        act(world, tmp_path)
        world.live(HOUR)
    assert [name for _, name in world.mails(ADA) if name.startswith("lead/any/welcome")] == [WELCOME]
    assert contacts.show(world.services, ADA)["stage"] == "subscribe"
    withdraw(world, tmp_path)
    world.live(9 * DAY)
    assert [name for _, name in world.mails(ADA)] == [WELCOME]


def test_a_consent_of_a_file_starts_nothing_and_uses_the_chance_up(world: World, tmp_path: Path) -> None:
    by_file(world, tmp_path)
    world.live(HOUR)
    by_command("granted")(world, tmp_path)
    world.live(HOUR)
    assert world.mails(ADA) == []
