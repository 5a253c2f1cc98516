"""An operator decides a conflict of identity once, and the decision is carried out."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import conflicts, contacts
from nurture.contacts.accept import NewEvent
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database, decode
from nurture.database.schema import audit
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from tests.scenarios.world import World

ONE, TWO = Identity("user_id", "user-1"), Identity("user_id", "user-2")
PHONE = Identity("phone", "+493012345678")


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def tell(world: World, name: str, *identities: Identity, hint: bool = False, **properties: Any) -> None:
    event = world.event("", name, **properties)
    given = {field: getattr(event, field) for field in event.__slots__}
    world.hand_in(NewEvent(**given | {"identities": identities, "hint": hint}))
    world.work()


def people(world: World) -> tuple[int, int]:
    with world.database.read() as connection:
        return resolve_contact(connection, "id:user-1"), resolve_contact(connection, "id:user-2")


def a_shared_telephone(world: World) -> int:
    """Make two people with one telephone number; return the number of their conflict."""
    tell(world, "Signed In", ONE, PHONE)
    tell(world, "Signed In", TWO, PHONE)
    (row,) = conflicts.list_all(world.services)
    assert (row["kind"], row["contact"], row["other"]) == ("phone", *people(world))
    return int(row["id"])


@pytest.mark.parametrize(("merge", "state"), [(True, "merged"), (False, "separate")])
def test_two_contacts_are_one_person_or_two(world: World, merge: bool, state: str) -> None:
    number = a_shared_telephone(world)
    conflicts.decide(world.services, number, merge=merge, actor="tom")
    assert len(set(people(world))) == (1 if merge else 2)
    assert conflicts.list_all(world.services) == []
    shown = conflicts.show(world.services, number)
    assert (shown["state"], shown["decided_by"]) == (state, "tom")
    assert [row["id"] for row in conflicts.list_all(world.services, decided=True)] == [number]
    with pytest.raises(InputError, match="was decided before"):
        conflicts.decide(world.services, number, merge=not merge, actor="eve")
    assert len(set(people(world))) == (1 if merge else 2)
    with world.database.read() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.action == "conflict.decide")).all()
    assert [(row.actor, decode(row.detail)["state"]) for row in rows] == [("tom", state)]
    # The same evidence again is no new conflict.
    tell(world, "Signed In", TWO, PHONE)
    assert conflicts.list_all(world.services) == []


@pytest.mark.parametrize("apply", [True, False], ids=["applied", "dropped"])
def test_an_event_that_was_set_aside_is_applied_or_dropped(world: World, apply: bool) -> None:
    tell(world, "Order Completed", ONE, order_id="o-1", revenue=20)
    tell(world, "Order Cancelled", ONE, hint=True, order_id="o-1")
    (row,) = conflicts.list_all(world.services)
    assert (row["kind"], row["event"]) == ("event", "Order Cancelled")
    assert contacts.show(world.services, "id:user-1")["track"] == "customer"
    conflicts.decide(world.services, row["id"], merge=apply, actor="tom")
    world.work()
    assert contacts.show(world.services, "id:user-1")["track"] == ("lead" if apply else "customer")
    assert conflicts.list_all(world.services) == []


def test_an_unknown_number_is_told(world: World) -> None:
    with pytest.raises(NotFoundError, match="there is no conflict 7"):
        conflicts.decide(world.services, 7, merge=True, actor="tom")
