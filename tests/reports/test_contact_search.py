"""People are found by an identity, or by a part of a name, an address or an id."""

import pytest

from nurture.app.contacts import search
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from tests.scenarios.world import World

PEOPLE = {
    "ada@example.com": {"firstName": "Ada", "company": "Lark & Sons"},
    "bob_1@example.com": {"firstName": "Özlem", "company": "100% Tea"},
    "mada@example.org": {"firstName": "王芳"},
}


@pytest.fixture
def world(database: Database) -> World:
    world = World(database)
    for who, traits in PEOPLE.items():
        world.tell(who, "Identified", traits=traits)
    world.work()
    return world


def found(world: World, text: str, *, limit: int = 10) -> list[str]:
    return [str(row["email"]) for row in search(world.services, text, limit=limit)]


@pytest.mark.parametrize(
    ("text", "emails"),
    [
        ("ada@example.com", ["ada@example.com"]),
        ("ADA@example.com", ["ada@example.com"]),
        ("ada", ["mada@example.org", "ada@example.com"]),
        ("LARK", ["ada@example.com"]),
        ("özl", ["bob_1@example.com"]),
        ("王", ["mada@example.org"]),
        ("王芳", ["mada@example.org"]),
        ("100%", ["bob_1@example.com"]),
        ("%", []),
        ("b_1", ["bob_1@example.com"]),
        ("x_1", []),
        ("id:ada", []),
        ("contact:99999999999999999999", []),
        ("'; DROP TABLE contacts; --", []),
    ],
)
def test_a_part_finds_people(world: World, text: str, emails: list[str]) -> None:
    assert found(world, text) == emails


def test_the_number_of_lines_is_bounded(world: World) -> None:
    assert len(found(world, "example", limit=2)) == 2
    with pytest.raises(InputError, match="empty"):
        search(world.services, "  ", limit=2)
