"""The way of an event through a drain: whose it is, once, in order, and what is written."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.contacts.accept import shard_of
from nurture.database import schema
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, MINUTE
from tests.journey.builders import NOW, World, an_event, names, statements


def order(message_id: str, who: str, at: int = NOW, **properties: Any) -> Any:
    given = {"order_id": message_id, "revenue": 10} | properties
    return an_event(message_id, who, name="Order Completed", occurred_at=at, properties=given)


def test_an_event_makes_a_contact_and_its_facts(database: Database) -> None:
    world = World(database)
    counts = world.take(order("m1", "u1 e1"))
    assert counts["applied"] == counts["created"] == counts["contacts"] == 1
    contact = world.contact("u1")
    assert (contact.track, contact.facts["orders"], contact.facts["spent"]) == ("customer", 1, 1000)
    (row,) = world.rows(schema.contacts)
    assert (row.track, row.email, row.first_seen_at) == ("customer", "e1@example.com", NOW)
    assert [(transition.kind, transition.after) for transition in world.rows(schema.transitions)] == [
        ("track", "customer"),
        ("stage", "excite"),
    ]
    assert not world.rows(schema.inbox)
    world.check()


def test_a_repeated_event_is_applied_once(database: Database) -> None:
    world = World(database)
    world.accept(order("m1", "u1"), order("m1", "u1"))
    counts = world.settle()
    counts += world.take(order("m1", "u1"), order("m1", "u1 e1"))
    assert (counts["applied"], counts["duplicate"]) == (1, 3)
    assert world.contact("u1").facts["orders"] == 1
    assert world.quarantined() == []
    world.check()


@pytest.mark.parametrize(
    ("again", "is_same"),
    [
        ({"occurred_at": NOW - 2 * MINUTE}, True),
        ({"context": {"locale": "en"}}, True),
        ({"occurred_at": NOW - 2 * DAY}, False),
        ({"name": "Order Cancelled"}, False),
        ({"properties": {"order_id": "m1", "revenue": 11}}, False),
        ({"traits": {"a": 1}}, False),
    ],
)
def test_one_id_with_two_contents_is_a_conflict(
    database: Database, again: dict[str, Any], is_same: bool
) -> None:
    world = World(database)
    given = {"name": "Order Completed", "properties": {"order_id": "m1", "revenue": 10}}
    counts = world.take(an_event("m1", "u1", **given))
    counts += world.take(an_event("m1", "u1", **(given | again)))
    assert (counts["applied"], counts["duplicate"]) == (1, int(is_same))
    assert world.quarantined() == ([] if is_same else [("conflict", "m1")])
    assert world.contact("u1").facts["orders"] == 1


def test_two_sources_may_use_the_same_id(database: Database) -> None:
    world = World(database)
    assert world.take(an_event("m1", "u1", source="web"), an_event("m1", "u1", source="app"))["applied"] == 2


def test_the_names_of_a_person_lead_to_one_contact_and_one_order(database: Database) -> None:
    """Rows under different names lie in different shards; each drain takes them all, in order."""
    world = World(database)
    world.take(an_event("m0", "u1 e1 p1 a1", kind="identify", name="Identified"))
    contact = world.who("u1")
    events = [an_event(f"m{number + 1}", ("u1", "e1", "p1", "a1")[number % 4]) for number in range(20)]
    world.accept(*events)
    shard = shard_of(names("a1")[0])
    counts = world.drain(shard)
    if counts.more:
        # The first batch of a shard takes only its own rows.
        counts += world.drain(shard)
    assert counts["applied"] == 20
    assert world.applied(contact) == [f"m{number}" for number in range(21)]
    world.check()


def test_rows_of_another_shard_are_not_overtaken_when_names_meet_in_the_batch(database: Database) -> None:
    world = World(database)
    world.accept(an_event("m1", "a1"), an_event("m2", "u1"), an_event("m3", "u1 a1"), an_event("m4", "a1"))
    counts = world.settle()
    assert counts["merged"] in (0, 1)
    assert world.applied(world.who("u1"))[-2:] == ["m3", "m4"]
    assert world.who("u1") == world.who("a1")
    world.check()


def test_people_of_one_batch_who_turn_out_to_be_one_are_never_two(database: Database) -> None:
    world = World(database)
    # One shard holds all of it, so the names meet before anything is stored.
    shard = shard_of(names("u1")[0])
    alias = next(f"a{number}" for number in range(10_000) if shard_of(names(f"a{number}")[0]) == shard)
    world.accept(
        an_event("m1", alias), an_event("m2", "u1"), an_event("m3", f"u1 {alias}"), an_event("m4", alias)
    )
    counts = world.drain(shard)
    assert (counts["applied"], counts["created"], counts["merged"]) == (4, 1, 0)
    assert world.applied(world.who("u1")) == ["m1", "m2", "m3", "m4"]
    world.check()


def test_an_event_without_a_person_is_kept_and_applied_once(database: Database) -> None:
    world = World(database)
    assert world.take(an_event("m1"), an_event("m1"))["applied"] == 1
    (row,) = world.rows(schema.events)
    assert (row.contact_id, row.message_id) == (None, "m1")
    assert not world.rows(schema.contacts)


def test_mail_goes_to_the_address_named_last(database: Database) -> None:
    world = World(database)

    def says(message_id: str, who: str, at: int) -> str:
        world.take(an_event(message_id, who, kind="identify", name="Identified", occurred_at=at))
        (row,) = world.rows(schema.contacts)
        return str(row.email)

    world.take(an_event("m0", "u1", occurred_at=NOW - 9 * DAY))
    assert says("m1", "u1 e1", NOW - 5 * DAY) == "e1@example.com"
    assert says("m2", "u1 e2", NOW - 3 * DAY) == "e2@example.com"
    assert says("m3", "u1 e3", NOW - 4 * DAY) == "e2@example.com", "it came late"
    assert says("m4", "u1 e1", NOW - 2 * DAY) == "e1@example.com", "back to the first"
    assert says("m5", "u1 e2", NOW - 3 * DAY) == "e1@example.com"
    assert {row.value for row in world.rows(schema.identities, kind="email")} == {
        f"e{number}@example.com" for number in (1, 2, 3)
    }


def test_a_batch_is_bounded_and_says_that_there_is_more(database: Database) -> None:
    world = World(database)
    world.accept(*(an_event(f"m{number}", "u1") for number in range(25)))
    first = world.drain(limit=10)
    assert (first["applied"], first.more) == (10, True)
    second, third = world.drain(limit=10), world.drain(limit=10)
    assert (second["applied"], third["applied"], third.more) == (10, 5, False)
    assert world.applied(world.who("u1")) == [f"m{number}" for number in range(25)]


def people_of(shard: int, count: int, *, tag: str) -> list[str]:
    """Return user ids that all fall into one shard."""
    found = (f"u{tag}{number}" for number in range(10**6))
    mine = (who for who in found if shard_of(names(who)[0]) == shard)
    return [next(mine) for _ in range(count)]


@pytest.mark.parametrize("known", [False, True], ids=["new people", "known people"])
def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(
    database: Database, known: bool
) -> None:
    world = World(database)
    world.take(an_event("m0", *people_of(7, 1, tag="x")))

    def cost(count: int, tag: str) -> int:
        people = people_of(7, count, tag=tag)
        if known:
            world.take(*(an_event(f"{who}-0", who) for who in people))
        world.accept(*(order(f"{who}-1", who) for who in people))
        with statements(database) as seen:
            assert world.drain(7)["applied"] == count
        return len(seen)

    few, many = cost(10, "f"), cost(500, "m")
    # Where the shard holds little, others that this process knows are asked, in one statement more.
    assert few in (many, many + 1)
    assert many <= 25


def test_the_oldest_rows_are_drained_first(database: Database) -> None:
    world = World(database)
    first, second = (
        next(f"u{n}" for n in range(999) if shard_of(names(f"u{n}")[0]) == shard) for shard in (40, 3)
    )
    world.accept(an_event("m1", first), an_event("m2", second))
    world.drain(limit=1)
    assert [row.message_id for row in world.rows(schema.events)] == ["m1"]


def test_where_there_is_one_writer_all_shards_are_drained_together_in_order(
    sqlite_database: Database,
) -> None:
    world = World(sqlite_database)
    world.take(*(order(f"m{number}", f"u{number}") for number in range(300)))
    world.accept(*(order(f"n{number}", f"u{number % 250}") for number in range(300)))
    assert len({row.shard for row in world.rows(schema.inbox)}) > 60
    assert world.drain(limit=290)["applied"] == 290
    assert [row.message_id for row in world.rows(schema.inbox)] == [
        f"n{number}" for number in range(290, 300)
    ]
    assert world.drain()["applied"] == 10
    world.check()


def test_shards_that_hold_little_are_drained_together(database: Database) -> None:
    world = World(database)
    world.accept(*(an_event(f"m{n}", f"u{n}") for n in range(60)))
    busy = {row.shard for row in world.rows(schema.inbox)}
    assert len(busy) > 16
    # First in a process that has proven no shard, then in one that has.
    for begin in (0, 100):
        world.accept(*(an_event(f"m{begin + n}", f"u{n}") for n in range(60)))
        batches = 0
        while world.drain().total():
            batches += 1
        assert batches <= len(busy) // 16 + 2
    assert len(world.rows(schema.events)) == 120


def test_alarms_wait_for_events_that_came_before_them(database: Database) -> None:
    """A batch that leaves events behind goes no further in time than they came."""
    seen: list[tuple[int, int]] = []

    def rule(contact: Any, happenings: Any, *, now: int, playbook: Any, **rest: Any) -> Any:
        from nurture.domain.journey.advance import advance

        seen.append((len(happenings), now))
        return advance(contact, happenings, now=now, playbook=playbook, **rest)

    world = World(database, rule=rule)
    world.clock.advance_to(NOW + 10 * HOUR)
    world.accept(*(an_event(f"m{n}", "u1", received_at=NOW + n * HOUR) for n in range(5)))
    world.settle(limit=2)
    assert seen == [(2, NOW + 2 * HOUR), (2, NOW + 4 * HOUR), (1, NOW + 10 * HOUR)]


def test_an_idle_drain_only_reads(database: Database) -> None:
    world = World(database)
    with statements(database) as seen:
        assert world.drain() == {}
        assert world.drain(5) == {}
        assert world.ring() == {}
    writes = [text for text in seen if not text.lstrip().startswith(("SELECT", "BEGIN"))]
    assert not writes


def test_contacts_that_slept_through_a_publish_are_refolded(database: Database) -> None:
    from nurture.domain.conditions import Term
    from nurture.domain.playbook import FoldFact
    from tests.domain.build import FACTS, VOCABULARY, a_playbook, on

    world = World(database)
    world.take(an_event("m1", "u1", name="Sample Asked"), an_event("m2", "u1", name="Sample Asked"))
    assert "samples" not in world.contact("u1").facts
    facts = {fact.name: fact for fact in FACTS}
    facts["samples"] = FoldFact("samples", "count", "integer", (on("Sample Asked"),))
    vocabulary = VOCABULARY.with_terms({"samples": Term("samples", "integer", "zero", grows=True)})
    world.use(a_playbook(facts=facts, vocabulary=vocabulary, rules_hash="r2"))
    world.take(an_event("m3", "u1", name="Sample Asked"))
    assert world.contact("u1").facts["samples"] == 3
    world.check()


def test_an_alarm_that_changes_nothing_but_the_clock_writes_nothing_else(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "u1"))
    before = world.contact("u1")
    with database.write() as connection:
        connection.execute(sa.update(schema.contacts).values(wake_at=NOW))
    world.clock.advance_to(NOW + HOUR)
    with statements(database) as seen:
        assert world.ring()["rung"] == 1
    written = [statement.split("FROM")[0] for statement in seen if statement.startswith(("INSERT", "UPDATE"))]
    assert written
    assert not any("contact_state" in statement or "facts" in statement for statement in written)
    after = world.contact("u1")
    assert (after.memory, after.facts) == (before.memory, before.facts)
    assert (after.clock, after.wake_at) > (before.clock, NOW)
