"""Live events go before bulk work in the inbox, bulk keeps its share, and each contact's events keep their order."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.contacts import inbox_queries
from nurture.contacts.accept import NewEvent, accept, inbox_key
from nurture.contacts.inbox_queries import BULK, LIVE
from nurture.database import schema
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.journey.crash_counts import proven_work_of
from nurture.journey.drain import drain_shards
from tests.journey.builders import World, an_event, statements
from tests.rig.notifier import RecordingNotifier


def import_events(world: World, *events: NewEvent) -> None:
    """Accept events as bulk work, in one transaction."""
    world.database.run(partial(accept, events=events, bulk=True))


def drain_live(world: World, limit: int = 500) -> Counts:
    """Apply one batch of live events."""
    return drain_shards(
        world.database, shards=LIVE, clock=world.clock, playbooks=world.playbooks, limit=limit
    )


def applied(world: World) -> list[str]:
    """Return the message ids of applied events, in the order in which they were applied."""
    rows: list[Any] = world.rows(schema.events)
    return [row.message_id for row in rows]


@pytest.fixture
def world(database: Database) -> World:
    # A process that has worked for a while; a new one takes nothing along, and counts attempts first.
    proven_work_of(database).shards.update(LIVE, BULK)
    return World(database)


def test_a_live_event_is_applied_before_bulk_work_that_came_earlier(world: World) -> None:
    import_events(world, *(an_event(f"b{n}", f"u{n}") for n in range(30)))
    world.accept(an_event("live", "u99"))
    world.drain(limit=5)
    order = applied(world)
    assert order[0] == "live"
    # And bulk work had its part of the same call.
    assert len(order) > 1
    world.settle()
    assert sorted(applied(world)) == sorted(["live", *(f"b{n}" for n in range(30))])
    world.check()


def test_bulk_work_keeps_its_share_beside_live_events_without_end(world: World) -> None:
    import_events(world, *(an_event(f"b{n}", "u1") for n in range(100)))
    for call in range(4):
        world.accept(*(an_event(f"l{call}.{n}", "u2") for n in range(100)))
        world.drain(limit=50)
    done = applied(world)
    bulk = [name for name in done if name.startswith("b")]
    # One place in five of each call.
    assert len(bulk) == 4 * 50 // 5
    assert len(done) - len(bulk) >= 3 * len(bulk)


def test_a_live_event_takes_the_earlier_bulk_events_of_its_person_along(world: World) -> None:
    world.take(an_event("known", "u1 e1"))
    import_events(world, *(an_event(f"b{n}", who) for n, who in enumerate(["u1", "e1", "u1 p7", "u2"])))
    world.accept(an_event("live", "e1"))
    drain_live(world)
    assert applied(world) == ["known", "b0", "b1", "b2", "live"]
    world.settle()
    world.check()


@pytest.mark.parametrize("alias", [False, True])
def test_a_live_event_of_a_new_person_takes_earlier_bulk_events_along(world: World, *, alias: bool) -> None:
    """Their bulk events name identities that nobody has yet: the live one would wait for the end of the import."""
    more = {"kind": "alias", "previous_id": "a5"} if alias else {}
    import_events(world, an_event("b0", "u1 e1", **more), an_event("b1", "u2"))
    world.accept(an_event("live", "e1"))
    drain_live(world)
    assert applied(world) == ["b0", "live"]
    world.settle()
    assert world.who("u1") == world.who("e1")
    world.check()


def test_history_is_bulk_and_everything_else_is_live_unless_it_says_so(sqlite_database: Database) -> None:
    notifier = RecordingNotifier()
    world = World(replace(sqlite_database, notifier=notifier))
    world.accept(an_event("a", "u1"), an_event("h", "u1", historic=True))
    assert set(notifier.take()) == {("inbox", inbox_key(world.rows(schema.inbox)[0].shard)), ("inbox", "all")}
    import_events(world, an_event("b", "u1"))
    first, historic, bulk = (row.shard for row in world.rows(schema.inbox))
    assert (first in LIVE, historic, bulk) == (True, BULK[first], BULK[first])


def test_work_of_both_classes_takes_a_constant_number_of_statements(world: World) -> None:
    counts = []
    world.take(*(an_event(f"k{n}", f"u{n}") for n in range(20)))
    import_events(world, *(an_event(f"kb{n}", f"u{n}") for n in range(20)))
    world.settle()
    for people in (2, 20):
        import_events(world, *(an_event(f"b{people}.{n}", f"u{n}") for n in range(people)))
        world.accept(*(an_event(f"l{people}.{n}", f"u{n}") for n in range(people)))
        with statements(world.database) as seen:
            drain_live(world)
        counts.append(len(seen))
        world.settle()
    assert counts[0] == counts[1]


def test_live_rows_are_found_by_index_behind_a_long_import(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    import_events(world, *(an_event(f"b{n}", f"u{n}") for n in range(20)))
    with world.database.read() as connection:
        plans = plans_of_loading(connection, LIVE)
    assert any("ix_inbox_shard_id (shard=?)" in plan for plan in plans), plans


def plans_of_loading(connection: sa.Connection, shards: range) -> list[str]:
    """Return the plan of the statement that loads the oldest rows of these shards."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", note)
    inbox_queries.load_oldest(connection, *shards, limit=10)
    sa.event.remove(connection, "before_cursor_execute", note)
    (statement, parameters) = seen[0]
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
