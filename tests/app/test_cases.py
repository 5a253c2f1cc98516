"""Cases are listed, assigned and closed by command; a closed case lets the person's marketing go on."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import cases
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database, decode
from nurture.database.schema import audit, events
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import HOUR, MINUTE
from nurture.feedback import reply_queries
from tests.scenarios.world import World

ADA, BEN = "ada@example.com", "ben@example.com"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    world = World(sqlite_database)
    for who in (ADA, BEN):
        world.tell(who, "Signed In")
    world.work()
    return world


def opened(world: World, who: str, *, due_in: int = 4 * HOUR, owner: str = "support") -> str:
    """Open a case as a reply does; return its name."""

    def work(connection: sa.Connection) -> int:
        row = {
            "contact_id": resolve_contact(connection, who),
            "message_id": None,
            "owner": owner,
            "opened_at": world.now,
            "due_at": world.now + due_in,
        }
        return reply_queries.add_case(connection, row)

    return f"R-{world.database.run(work)}"


def held(world: World, who: str) -> bool:
    with world.database.read() as connection:
        contact = resolve_contact(connection, who)
        return bool(reply_queries.load_reply_holds(connection, [contact], now=world.now))


def properties_of(world: World, name: str) -> list[dict[str, Any]]:
    with world.database.read() as connection:
        bodies = connection.scalars(sa.select(events.c.body).where(events.c.name == name)).all()
    return [decode(body)["properties"] for body in bodies]


def test_open_cases_come_in_the_order_of_their_promises(world: World) -> None:
    late = opened(world, ADA, due_in=8 * HOUR)
    early = opened(world, BEN, due_in=HOUR, owner="mira")
    rows = cases.list_all(world.services)
    assert [(row["case"], row["person"], row["state"]) for row in rows] == [
        (early, BEN, "open"),
        (late, ADA, "open"),
    ]
    assert [row["case"] for row in cases.list_all(world.services, owner="support")] == [late]
    assert cases.list_all(world.services, overdue=True) == []
    world.clock.advance_to(world.now + 2 * HOUR)
    (row,) = cases.list_all(world.services, overdue=True)
    assert (row["case"], row["state"]) == (early, "overdue")


def test_a_closed_case_holds_no_marketing_and_is_announced_once(world: World) -> None:
    name = opened(world, ADA)
    assert held(world, ADA)
    world.clock.advance_to(world.now + 90 * MINUTE)
    cases.close(world.services, name, actor="tom")
    assert not held(world, ADA)
    world.work()
    (closing,) = properties_of(world, "Support Case Closed")
    assert closing == {"case_id": name, "answered_by": "tom", "minutes": 90}
    with pytest.raises(InputError, match="was closed on"):
        cases.close(world.services, name, actor="eve")
    with pytest.raises(InputError, match="was closed on"):
        cases.assign(world.services, name, "mira", actor="eve")
    assert cases.list_all(world.services) == []
    (row,) = cases.list_all(world.services, everything=True)
    assert (row["state"], row["owner"]) == ("closed", "support")
    with world.database.read() as connection:
        (entry,) = connection.execute(sa.select(audit).where(audit.c.action == "case.close")).all()
    assert entry.actor == "tom"


def test_a_case_changes_its_owner_and_says_so(world: World) -> None:
    name = opened(world, ADA)
    owners = world.loaded.playbook.owners
    owner = next(iter(owners), "mira")
    assert cases.assign(world.services, name, owner, actor="tom")["before"] == "support"
    world.work()
    (update,) = properties_of(world, "Support Case Updated")
    assert (update["case_id"], update["owner"]) == (name, owner)
    assert cases.show(world.services, name)["owner"] == owner
    with pytest.raises(InputError, match="owner"):
        cases.assign(world.services, name, "nobody" if owners else " ", actor="tom")


def test_a_case_is_shown_with_its_person(world: World) -> None:
    name = opened(world, ADA)
    found = cases.show(world.services, name.lower())
    assert (found["case"], found["track"], found["mail"]) == (name, "lead", None)
    assert found["events"][-1].endswith("Signed In")


@pytest.mark.parametrize("name", ["R-99", "99999999999999999999", "x", "", "R-", "R-1; drop"])
def test_a_case_that_is_not_there_is_an_error_that_says_where_to_look(world: World, name: str) -> None:
    with pytest.raises(NotFoundError, match="nurture cases list"):
        cases.show(world.services, name)


def test_a_case_about_nobody_we_know_is_listed_and_closed(world: World) -> None:
    row = {
        "contact_id": 0,
        "message_id": None,
        "owner": "privacy",
        "opened_at": world.now,
        "due_at": world.now + HOUR,
        "kind": "data_request",
    }
    name = f"R-{world.database.run(lambda connection: reply_queries.add_case(connection, row))}"
    (found,) = cases.list_all(world.services)
    assert (found["case"], found["person"], found["about"]) == (name, "nobody", "data_request")
    assert cases.show(world.services, name)["events"] == []
    cases.close(world.services, name, actor="tom")
    assert cases.list_all(world.services) == []
