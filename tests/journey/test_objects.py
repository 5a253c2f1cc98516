"""Objects fold from events of anybody or nobody, and wake who watches them, in order of waiting."""

from typing import Any

import pytest

from nurture.contacts.accept import NewEvent, shard_for
from nurture.database import schema
from nurture.database.engine import Database, decode
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.measure import Once, OnObject
from nurture.journey.objects import wake_watchers
from tests.domain.build import a_measure, a_playbook, when
from tests.journey.builders import NOW, World, an_event

BACK = a_measure("lead/back", trigger=OnObject("product", ("Product Back In Stock",)))


def product(message_id: str, at: int = NOW, *, name: str = "Product Updated", **fields: Any) -> Any:
    return an_event(message_id, name=name, occurred_at=at, properties={"product_id": "p7"} | fields)


def wake(world: World, limit: int = 200) -> Counts:
    return wake_watchers(world.database, clock=world.clock, playbooks=world.playbooks, limit=limit)


def facts(world: World) -> dict[str, Any]:
    (row,) = world.rows(schema.objects, kind="product", key="p7")
    return dict(decode(row.facts)["values"])


def test_the_newest_value_of_each_field_counts_in_any_order(database: Database) -> None:
    world = World(database)
    world.take(product("m1", NOW - 2 * HOUR, price=10, stock=4))
    world.take(product("m3", NOW, stock=0), product("m2", NOW - HOUR, price=12, stock=2, title="Cup"))
    assert facts(world) == {"product_id": "p7", "price": 12, "stock": 0, "title": "Cup"}
    (row,) = world.rows(schema.objects)
    assert row.changed_at == NOW
    world.take(product("m1", NOW - 2 * HOUR, price=10, stock=4))
    (again,) = world.rows(schema.objects)
    assert again.version == row.version, "a repeated event changes nothing"


def test_an_event_with_a_person_feeds_the_object_too(database: Database) -> None:
    world = World(database)
    lines = {"products": [{"product_id": "p7", "price": 3}, {"product_id": "p8", "price": 4}, "what?"]}
    world.take(an_event("m1", "u1", name="Product Updated", properties=lines))
    assert facts(world) == {"product_id": "p7", "price": 3}
    assert len(world.rows(schema.objects)) == 2


def world_with_watchers(database: Database, count: int) -> World:
    world = World(database, a_playbook(BACK))
    waits = [
        an_event(
            f"w{n}",
            f"u{n}",
            name="Waitlist Joined",
            properties={"product_id": "p7"},
            occurred_at=NOW - (count - n),
        )
        for n in range(count)
    ]
    world.take(*waits)
    return world


def test_a_request_before_the_change_is_answered_though_the_change_is_applied_first(
    database: Database,
) -> None:
    """Shards are applied in any order: the change is of nobody and lies in another one."""
    world = World(database, a_playbook(BACK))
    asked = an_event("w", "u1", name="Waitlist Joined", properties={"product_id": "p7"})
    change = product("m1", name="Product Back In Stock", stock=3)
    assert shard_for(asked) != shard_for(change)
    world.accept(asked, change)
    assert world.drain(shard_for(change), limit=1)["applied"] == 1
    assert wake(world) == Counts()
    assert world.settle()["applied"] == 1
    assert wake(world)["woken"] == 1


def test_watchers_are_woken_in_order_of_waiting_a_bounded_number_at_a_time(database: Database) -> None:
    world = world_with_watchers(database, 5)
    world.take(product("m1", name="Product Back In Stock", stock=3))
    counts = wake(world, limit=2)
    assert (counts["woken"], counts.more) == (2, True)
    assert [row.user_id for row in world.rows(schema.inbox)] == ["u0", "u1"]
    world.settle()
    assert [(run.contact_id, run.measure) for run in world.rows(schema.runs)] == [
        (world.who("u0"), "lead/back"),
        (world.who("u1"), "lead/back"),
    ]
    assert [row.contact_id for row in world.rows(schema.watches)] == sorted(
        world.who(f"u{n}") for n in (2, 3, 4)
    )
    while wake(world, limit=2).more:
        pass
    world.settle()
    assert len(world.rows(schema.runs)) == 5
    assert world.rows(schema.watches) == world.rows(schema.object_wakes) == []
    assert wake(world) == {}
    world.check()


def test_waking_twice_mails_nobody_twice(database: Database) -> None:
    world = world_with_watchers(database, 3)
    world.take(product("m1", name="Product Back In Stock"))
    with database.read() as connection:
        (before,) = [row._asdict() for row in connection.execute(schema.object_wakes.select())]
    wake(world)
    with database.write() as connection:
        connection.execute(schema.object_wakes.insert().values(before))
    wake(world)
    assert len(world.rows(schema.inbox)) == 6
    assert world.settle()["duplicate"] == 3
    assert len(world.rows(schema.messages)) == 3


def test_a_contact_that_waited_too_long_is_not_woken(database: Database) -> None:
    world = world_with_watchers(database, 2)
    world.take(
        an_event(
            "old", "u9", name="Waitlist Joined", properties={"product_id": "p7"}, occurred_at=NOW - 200 * DAY
        )
    )
    world.take(product("m1", name="Product Back In Stock"))
    counts = wake(world)
    assert (counts["woken"], counts["given_up"]) == (2, 1)
    assert world.who("u9") not in {row.contact_id for row in world.rows(schema.watches)}


def asked(message: str, at: Instant, name: str = "Waitlist Joined") -> NewEvent:
    return an_event(message, "u9", name=name, properties={"product_id": "p7"}, occurred_at=at)


@pytest.mark.parametrize("separately", [True, False])
def test_somebody_who_asks_again_waits_anew(database: Database, separately: bool) -> None:
    world = world_with_watchers(database, 0)
    requests = [asked("old", NOW - 200 * DAY), asked("again", NOW - DAY), asked("late", NOW - 190 * DAY)]
    for events in [[event] for event in requests] if separately else [requests]:
        world.take(*events)
    world.take(product("m1", name="Product Back In Stock"))
    assert wake(world)["woken"] == 1


@pytest.mark.parametrize("separately", [True, False])
def test_an_older_end_that_arrives_late_ends_no_newer_watch(database: Database, separately: bool) -> None:
    world = world_with_watchers(database, 0)
    words = [asked("new", NOW - DAY), asked("end", NOW - 2 * DAY, "Waitlist Left")]
    for events in [[event] for event in words] if separately else [words]:
        world.take(*events)
    assert len(world.rows(schema.watches)) == 1
    world.take(asked("newest", NOW, "Waitlist Left"))
    assert world.rows(schema.watches) == []


def test_a_historic_event_wakes_nobody(database: Database) -> None:
    world = world_with_watchers(database, 2)
    world.take(an_event("m1", name="Product Back In Stock", properties={"product_id": "p7"}, historic=True))
    assert world.rows(schema.object_wakes) == []
    assert facts(world) == {"product_id": "p7"}


def test_two_watchers_who_turn_out_to_be_one_are_mailed_once(database: Database) -> None:
    world = world_with_watchers(database, 1)
    world.take(an_event("w", "a1", name="Waitlist Joined", properties={"product_id": "p7"}))
    world.take(product("m1", name="Product Back In Stock"))
    wake(world)
    world.take(an_event("j", "u0 a1", kind="identify", name="Identified"))
    assert sorted((row.status, row.reason) for row in world.rows(schema.messages)) == [
        ("cancelled", "merged"),
        ("waiting", ""),
    ]
    world.check()


# ---- audiences -------------------------------------------------------------------------------------------

NEWS = a_measure(
    "lead/news",
    trigger=OnObject("product", ("Product Back In Stock",), to_audience=True),
    audience=when("views >= 1"),
    once=Once("product_id"),
)


def world_with_audience(database: Database, count: int) -> World:
    """Return a world in which u0 watches p7, all but u0 are in the audience, and u90 is in it on the other track."""
    world = World(database, a_playbook(BACK, NEWS))
    views = [an_event(f"v{n}", f"u{n}", name="Product Viewed") for n in range(1, count)]
    world.take(
        an_event("w", "u0", name="Waitlist Joined", properties={"product_id": "p7"}),
        *views,
        an_event("c1", "u90", name="Product Viewed"),
        an_event("c2", "u90", name="Order Completed", properties={"order_id": "o1"}),
    )
    return world


def started(world: World) -> set[tuple[int, str, str]]:
    return {(run.contact_id, run.measure, run.key) for run in world.rows(schema.runs)}


def test_an_audience_is_handed_a_change_after_the_watchers_a_bounded_number_at_a_time(
    database: Database,
) -> None:
    world = world_with_audience(database, 6)
    world.take(product("m1", name="Product Back In Stock", stock=3))
    rounds = []
    while True:
        counts = wake(world, limit=2)
        rounds.append(counts["woken"])
        world.settle()
        if not counts.more:
            break
    assert rounds == [1, 2, 2, 1]
    assert started(world) == {
        (world.who("u0"), "lead/back", ""),
        *((world.who(f"u{n}"), "lead/news", "p7") for n in range(1, 6)),
    }
    assert world.rows(schema.object_wakes) == []
    world.check()


def test_one_of_an_audience_keeps_the_own_watch_until_it_is_answered(database: Database) -> None:
    world = world_with_audience(database, 2)
    u1 = world.who("u1")
    world.take(product("m1", name="Product Back In Stock"))
    # The watch begins between the two: the audience's event must not end it.
    assert wake(world)["woken"] == 1
    world.settle()
    world.take(an_event("w1", "u1", name="Waitlist Joined", properties={"product_id": "p7"}))
    assert wake(world)["woken"] == 1
    world.settle()
    assert [row.contact_id for row in world.rows(schema.watches)] == [u1]
    world.take(product("m2", name="Product Back In Stock"))
    while wake(world).more:
        pass
    world.settle()
    assert (u1, "lead/back", "") in started(world)
    assert len([run for run in started(world) if run[1] == "lead/news"]) == 1, "once for each product"


def test_watchers_of_a_later_change_go_before_a_long_audience(database: Database) -> None:
    world = world_with_audience(database, 6)
    world.take(product("m1", name="Product Back In Stock"))
    assert (wake(world, limit=2)["woken"], wake(world, limit=2)["woken"]) == (1, 2)
    world.settle()
    world.take(an_event("w8", "u9", name="Waitlist Joined", properties={"product_id": "p8"}))
    world.take(an_event("m2", name="Product Back In Stock", properties={"product_id": "p8"}))
    assert wake(world, limit=2)["woken"] == 1
    world.settle()
    assert (world.who("u9"), "lead/back", "") in started(world)
