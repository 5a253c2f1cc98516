"""Proof and hint, through the whole drain: who stays apart, whose a device is, where mail goes."""

from itertools import permutations
from typing import Any

import pytest

from nurture.contacts.accept import NewEvent
from nurture.database import schema
from nurture.database.engine import Database, decode
from nurture.domain.instant import HOUR, MINUTE
from tests.journey.builders import NOW, World, an_event, names


def server_identify(message_id: str, who: str, **given: Any) -> NewEvent:
    """Return an identify call of a server."""
    return an_event(message_id, who, kind="identify", name="Identified", **given)


def browser_identify(message_id: str, who: str, **given: Any) -> NewEvent:
    """Return an identify call with a browser key."""
    return server_identify(message_id, who, source="page", hint=True, **given)


def addresses(world: World) -> dict[int, str | None]:
    return {row.id: row.email for row in world.rows(schema.contacts) if row.survivor is None}


def requested(world: World) -> list[str]:
    return [row.address for row in world.rows(schema.requests)]


def test_two_orders_with_one_telephone_number_stay_two_contacts(database: Database) -> None:
    world = World(database)
    world.take(an_event("o1", "e1 p1", name="Order Completed", properties={"order_id": "1", "revenue": 5}))
    world.take(an_event("o2", "e2 p1", name="Order Completed", properties={"order_id": "2", "revenue": 7}))
    one, two = world.who("e1"), world.who("e2")
    assert one != two
    assert (world.applied(one), world.applied(two)) == (["o1"], ["o2"])
    assert world.conflicts() == [(one, two, "phone", "o2")]
    world.check()


def test_an_event_that_names_only_a_shared_number_waits_for_people(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.take(an_event("o1", "e1 p1"), an_event("o2", "e2 p1"), an_event("m1", "p1"))
    one, two = world.who("e1"), world.who("e2")
    shipped = an_event("m2", "p1", name="Order Shipped", properties={"order_id": "2"})
    world.take(shipped, an_event("m3", "e1 p1"), an_event("m4", "p2"), an_event("m5", "e2 p1"))
    assert (world.applied(one), world.applied(two)) == (["o1", "m3"], ["o2", "m5"])
    waiting = [row for row in world.rows(schema.conflicts) if row.kind == "shared_phone"]
    assert [decode(row.evidence)["message_id"] for row in waiting] == ["m1", "m2"]
    assert {row.contact_id for row in waiting} == {one}
    assert not world.rows(schema.inbox)
    world.check()


def test_a_device_belongs_to_whoever_identified_on_it_last(database: Database) -> None:
    world = World(database)
    events = (
        server_identify("m1", "u1 a1"),
        an_event("m2", "a1"),
        server_identify("m3", "u2 a1"),
        an_event("m4", "a1"),
    )
    for at, event in enumerate(events):
        world.take(_at(event, at))
    assert world.applied(world.who("u1")) == ["m1", "m2"]
    assert world.applied(world.who("u2")) == ["m3", "m4"]
    world.take(_at(server_identify("late", "u1 a1"), 1))
    assert world.who("a1") == world.who("u2"), "an identification of before changes nothing"
    world.check()


def test_a_device_in_one_batch_is_as_in_many(database: Database) -> None:
    world = World(database)
    events = (
        server_identify("m1", "u1 a1"),
        an_event("m2", "a1"),
        server_identify("m3", "u2 a1"),
        an_event("m4", "a1"),
    )
    world.take(*(_at(event, at) for at, event in enumerate(events)))
    assert world.applied(world.who("u1")) == ["m1", "m2"]
    assert world.applied(world.who("u2")) == ["m3", "m4"]
    world.check()


def _at(event: NewEvent, minutes: int) -> NewEvent:
    return NewEvent(
        **{name: getattr(event, name) for name in event.__slots__}
        | {"occurred_at": NOW - HOUR + minutes * MINUTE}
    )


def test_two_users_with_one_office_address_are_both_mailed_there(database: Database) -> None:
    world = World(database)
    world.take(server_identify("m1", "u1 e1"))
    world.take(server_identify("m2", "u2 e1"))
    one, two = world.who("u1"), world.who("u2")
    assert one != two
    assert world.who("e1") == one
    assert addresses(world) == {one: "e1@example.com", two: "e1@example.com"}
    assert world.conflicts() == [(one, two, "email", "m2")]


def test_a_hint_gives_an_unknown_person_an_address(database: Database) -> None:
    world = World(database)
    world.take(browser_identify("m1", "u1 e1 a1"))
    assert addresses(world) == {world.who("u1"): "e1@example.com"}
    assert {row.told for row in world.rows(schema.identities)} == {"hint"}


@pytest.mark.parametrize("known", ["u1 e1", "u1 e1 p1"])
def test_a_hint_of_another_address_asks_the_new_one_and_changes_nothing(
    database: Database, known: str
) -> None:
    world = World(database)
    world.take(server_identify("m1", known))
    person = world.who("u1")
    world.take(browser_identify("m2", "u1 e9"), browser_identify("m3", "u1 e9"))
    world.take(browser_identify("m4", "u1 e9"))
    assert addresses(world)[person] == "e1@example.com"
    assert requested(world) == ["e9@example.com"], "one mail per address and day"
    assert [row.name for row in world.rows(schema.events, source="web")] == [
        "Confirmation Requested",
        "Address Change Requested",
    ]
    with pytest.raises(KeyError):
        world.who("e9")
    world.take(server_identify("m5", "u1 e9"))
    assert addresses(world)[person] == "e9@example.com", "proof changes it at once"


def test_hints_flood_nobody(database: Database) -> None:
    world = World(database)
    world.take(server_identify("m0", "u1 e1"), server_identify("n0", "u2 e2"))
    for number in range(5):
        world.take(
            browser_identify(f"m{number}x", f"u1 e9{number}"),
            browser_identify(f"n{number}x", f"u2 e9{number}"),
        )
    assert sorted(requested(world)) == [f"e9{number}@example.com" for number in range(5)]
    assert len(world.rows(schema.requests, contact_id=world.who("u1"))) <= 3


def test_a_claimed_account_does_not_redirect_its_victim(database: Database) -> None:
    """A browser ties the attacker's own user id to the victim; the server then tells that user's own address."""
    world = World(database)
    world.take(an_event("o1", "e1", name="Order Completed", properties={"order_id": "1", "revenue": 5}))
    victim = world.who("e1")
    world.take(browser_identify("h", "u9 e1"))
    world.take(an_event("s1", "u9", name="Signed In"))
    world.take(server_identify("s2", "u9 e9"))
    attacker = world.who("u9")
    assert attacker != victim
    assert addresses(world) == {victim: "e1@example.com", attacker: "e9@example.com"}
    assert world.applied(victim) == ["o1", "h"]
    world.check()


STORY = (
    server_identify("server", "u1", occurred_at=NOW - 4 * HOUR),
    browser_identify("browser", "u1 e1", occurred_at=NOW - 3 * HOUR),
    an_event("guest", "e1", occurred_at=NOW - 2 * HOUR),
    server_identify("proof", "u1 e1", occurred_at=NOW - HOUR),
)
CLAIM = (
    an_event("guest", "e1", occurred_at=NOW - 4 * HOUR),
    browser_identify("claim", "u9 e1", occurred_at=NOW - 3 * HOUR),
    server_identify("owner", "u9 e9", occurred_at=NOW - 2 * HOUR),
)
OFFICE = (
    server_identify("first", "u1 e1 p1", occurred_at=NOW - 3 * HOUR),
    server_identify("second", "u2 e1", occurred_at=NOW - 2 * HOUR),
    server_identify("third", "u3 e3 p1", occurred_at=NOW - HOUR),
)


@pytest.mark.parametrize("apart", [True, False], ids=["one by one", "one batch"])
@pytest.mark.parametrize(
    ("story", "groups"),
    [
        pytest.param(STORY, "u1+e1", id="proof joins"),
        pytest.param(STORY[:3], "u1 e1", id="a hint does not"),
        pytest.param(CLAIM, "e1 u9+e9", id="a claimed address"),
        pytest.param(OFFICE, "u1 u2 u3+e3", id="an office"),
    ],
)
def test_the_order_of_arrival_changes_nothing(
    sqlite_database: Database, story: tuple[NewEvent, ...], groups: str, apart: bool
) -> None:
    """`u1+e1 u9`: the first two are one contact, the third is another."""
    world = World(sqlite_database)
    for number, order in enumerate(permutations(story)):
        events = [_renamed(event, number) for event in order]
        if apart:
            for event in events:
                world.take(event)
        else:
            world.take(*events)
        contacts = [{_owner(world, name, number) for name in group.split("+")} for group in groups.split()]
        assert [len(contact) for contact in contacts] == [1] * len(contacts), order
        assert len(set.union(*contacts)) == len(contacts), order
    world.check()


def _renamed(event: NewEvent, number: int) -> NewEvent:
    """Return the event for people of its own: `u1` becomes `u1-7`."""
    given = {name: getattr(event, name) for name in event.__slots__}
    given["identities"] = tuple(
        identity._replace(value=f"{number}-{identity.value}") for identity in event.identities
    )
    return NewEvent(**given | {"message_id": f"{event.message_id}-{number}"})


def _owner(world: World, name: str, number: int) -> int:
    (identity,) = names(name)
    rows = world.rows(schema.identities, kind=identity.kind, value=f"{number}-{identity.value}")
    return int(rows[0].contact_id)


# ---- what a browser key may not tell ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Order Cancelled",
        "Order Refunded",
        "Support Case Closed",
        "Points Granted",
        "Topic Confirmed",
        "Address Changed",
        "Ticket Resolved",
    ],
)
def test_an_event_that_reverses_closes_grants_or_confirms_is_set_aside(database: Database, name: str) -> None:
    world = World(database)
    world.take(an_event("o1", "u1", name="Order Completed", properties={"order_id": "1", "revenue": 5}))
    person = world.who("u1")
    counts = world.take(
        an_event("h", "u1", name=name, source="page", hint=True, properties={"order_id": "1"}),
        an_event("h", "u1", name=name, source="page", hint=True, properties={"order_id": "1"}),
    )
    assert counts["applied"] == 0
    assert world.applied(person) == ["o1"]
    assert world.contact("u1").track == "customer"
    assert world.conflicts() == [(person, None, "event", "h")]
    (row,) = world.rows(schema.conflicts)
    assert decode(row.evidence)["name"] == name, "nothing handed in is dropped"
    world.check()


@pytest.mark.parametrize("name", ["Order Completed", "Product Added", "Cart Emptied", "Appointment Booked"])
def test_other_events_of_a_browser_count(database: Database, name: str) -> None:
    world = World(database)
    world.take(an_event("h", "u1", name=name, source="page", hint=True, properties={"order_id": "1"}))
    assert world.applied(world.who("u1")) == ["h"]


def test_a_browser_neither_renames_nor_joins_known_people(database: Database) -> None:
    world = World(database)
    world.take(server_identify("m1", "u1 e1"), server_identify("m2", "u2 e2"))
    before = addresses(world)
    world.take(
        an_event("h1", "u2", kind="alias", name="Aliased", previous_id="u1", hint=True, source="page"),
        an_event("h2", "u3", kind="alias", name="Aliased", previous_id="u1", hint=True, source="page"),
        browser_identify("h3", "u1 e2"),
        browser_identify("h4", "u2 e1"),
    )
    assert world.rows(schema.merges) == []
    assert before.items() <= addresses(world).items()
    assert len({world.who(name) for name in ("u1", "u2", "u3")}) == 3


# ---- alias and merge -------------------------------------------------------------------------------------


def test_an_alias_renames_where_one_side_is_new(database: Database) -> None:
    world = World(database)
    world.take(server_identify("m1", "u1 e1"))
    world.take(an_event("j", "u2", kind="alias", name="Aliased", previous_id="u1"))
    assert world.who("u1") == world.who("u2")
    world.take(an_event("k", "u1", kind="alias", name="Aliased", previous_id="u7"))
    assert world.who("u7") == world.who("u1")
    assert world.conflicts() == []


def test_two_histories_are_a_conflict_and_a_merge_joins_them(database: Database) -> None:
    world = World(database)
    world.take(server_identify("m1", "u1 e1"), server_identify("m2", "u2 e2"))
    one, two = world.who("u1"), world.who("u2")
    world.take(an_event("j", "u2", kind="alias", name="Aliased", previous_id="u1"))
    assert world.who("u1") != world.who("u2")
    assert world.conflicts() == [(one, two, "user_id", "j")]
    world.take(an_event("k", "u2", kind="alias", name="Merged", previous_id="u1"))
    assert world.who("u1") == world.who("u2")
    assert world.conflicts() == [], "a merge settles them"
    world.check()


# ---- a hint gives no address to a person whom proof knows ------------------------------------------------


@pytest.mark.parametrize("known", ["u1", "p1", "u1 p1"])
def test_a_hint_gives_a_proven_person_no_first_address(database: Database, known: str) -> None:
    """A page that knows a user id cannot lead that person's receipts to an address of its choice."""
    world = World(database)
    world.take(server_identify("m1", known))
    person = world.who(known.split(maxsplit=1)[0])
    world.take(browser_identify("m2", f"{known} e9"))
    assert addresses(world) == {person: None}
    assert requested(world) == ["e9@example.com"], "its owner is asked"
    assert [row.name for row in world.rows(schema.events, source="web")] == ["Confirmation Requested"]
    with pytest.raises(KeyError):
        world.who("e9")
    world.take(server_identify("m3", f"{known} e1"))
    assert addresses(world)[person] == "e1@example.com"
    world.check()


def test_an_address_of_another_contact_is_no_first_address_by_a_hint_either(
    sqlite_database: Database,
) -> None:
    world = World(sqlite_database)
    world.take(server_identify("m0", "u9 e9"), server_identify("m1", "u1"))
    person = world.who("u1")
    world.take(browser_identify("m2", "u1 e9"))
    assert addresses(world)[person] is None
    assert requested(world) == ["e9@example.com"]
    world.take(server_identify("m3", "u1 e9"))
    assert addresses(world)[person] == "e9@example.com", "proof says that they share the mailbox"


def test_a_person_whom_only_hints_know_gets_the_address_in_one_batch_and_in_two(
    sqlite_database: Database,
) -> None:
    world = World(sqlite_database)
    world.take(browser_identify("m1", "u1 a1"))
    world.take(browser_identify("m2", "u1 e1"))
    world.take(browser_identify("n1", "u2 a2"), browser_identify("n2", "u2 e2"))
    assert addresses(world) == {world.who("u1"): "e1@example.com", world.who("u2"): "e2@example.com"}


def test_a_server_and_a_page_in_one_batch_are_as_one_after_another(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.take(server_identify("m1", "u1"), browser_identify("m2", "u1 e1"))
    assert addresses(world) == {world.who("u1"): None}
    assert requested(world) == ["e1@example.com"]
