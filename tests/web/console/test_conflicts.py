"""The console lists open conflicts and the suppressions of a person."""

from collections.abc import Callable
from dataclasses import replace

import httpx

from nurture.app import conflicts, suppressions
from nurture.app.services import Services
from nurture.database.engine import Database
from tests.app.test_conflicts import a_shared_telephone, people
from tests.scenarios.world import World


def on_this_machine(world: World) -> Services:
    """Return the world's services without a public address, so that the console is open."""
    settings = world.services.settings.model_copy(update={"base_url": "http://127.0.0.1:8025"})
    return replace(world.services, settings=settings)


def test_the_console_lists_open_conflicts_for_all_and_for_each_person(
    sqlite_database: Database, open_browser: Callable[[Services], httpx.Client]
) -> None:
    world = World(sqlite_database)
    number = a_shared_telephone(world)
    one, two = people(world)
    client = open_browser(on_this_machine(world))
    for path in ("/quarantine", f"/contacts/{one}", f"/contacts/{two}"):
        text = client.get(path).text
        assert "both have the same telephone number" in text, path
        assert f'href="/contacts/{one}"' in text
        assert f'href="/contacts/{two}"' in text
    conflicts.decide(world.services, number, merge=False, actor="tom")
    for path in ("/quarantine", f"/contacts/{one}"):
        assert "both have the same telephone number" not in client.get(path).text, path


def test_a_persons_page_shows_their_suppressions(
    sqlite_database: Database, open_browser: Callable[[Services], httpx.Client]
) -> None:
    world = World(sqlite_database)
    world.tell("ada@example.com", "Signed In")
    world.work()
    client = open_browser(on_this_machine(world))
    assert "Suppressions" not in client.get("/contacts/1").text
    suppressions.add(world.services, "ada@example.com", scope="all", because="her letter", actor="tom")
    text = client.get("/contacts/1").text
    for word in ("Suppressions", ">ops<", ">address<", ">person<", "2026-03-02T09:00:00", ">tom<"):
        assert word in text, word
