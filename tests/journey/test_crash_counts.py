"""One event that cannot be applied is set aside, everybody else's flow; what dies is found after restart."""

import os
import sqlite3
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema
from nurture.database.engine import Database, decode, open_database
from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import FOREVER, HOUR, MINUTE
from nurture.domain.journey.advance import Happening, advance
from nurture.journey.crash_counts import CRASHES_MAX
from tests.journey.builders import NOW, World, an_event


def bitten(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
    """Apply the rule, but raise for an event with the property `bad`."""
    for happening in happenings:
        if isinstance(happening, Event) and happening.properties.get("bad"):
            message = "this event is bad"
            raise ZeroDivisionError(message)
    return advance(contact, happenings, **given)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_only_the_event_that_raises_alone_is_set_aside(database: Database, count: int) -> None:
    world = World(database, rule=bitten)
    bad = count // 2
    world.accept(*(an_event(f"m{n}", "u1 e1", properties={"bad": n == bad}) for n in range(count)))
    world.accept(*(an_event(f"n{n}", f"u{n + 2}") for n in range(5)))
    counts = world.settle()
    assert (counts["applied"], counts["quarantined"]) == (count + 4, 1)
    assert world.quarantined() == [("rule", f"m{bad}")]
    (row,) = world.rows(schema.quarantine)
    assert row.reason == "ZeroDivisionError: this event is bad"
    assert row.contact_id == world.who("u1")
    raw = decode(row.raw)
    assert (raw["name"], raw["identities"]) == ("Page Viewed", {"user_id": "u1", "email": "e1@example.com"})
    assert world.applied(world.who("u1")) == [f"m{n}" for n in range(count) if n != bad]
    world.check()


def test_two_bad_ones_of_one_person_are_both_found(database: Database) -> None:
    world = World(database, rule=bitten)
    world.accept(*(an_event(f"m{n}", "u1", properties={"bad": n in (3, 4)}) for n in range(9)))
    assert world.settle()["applied"] == 7
    assert world.quarantined() == [("rule", "m3"), ("rule", "m4")]


def test_an_alarm_that_raises_waits_an_hour_and_stops_nobody(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "u1"), an_event("m2", "u2"))
    first, second = world.who("u1"), world.who("u2")
    with database.write() as connection:
        connection.execute(sa.update(schema.contacts).values(wake_at=NOW))

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        if contact.id == first:
            raise KeyError(contact.id)
        return advance(contact, happenings, **given)

    world.rule = rule
    world.clock.advance_to(NOW + HOUR)
    world.ring()
    rows = {row.id: row.wake_at for row in world.rows(schema.contacts)}
    assert rows[first] == NOW + 2 * HOUR
    assert rows[second] > NOW + HOUR
    assert world.ring() == {}
    world.clock.advance_to(NOW + 2 * HOUR)
    world.ring()
    assert world.quarantined() == [("rule", None)], "said once"


def test_a_lost_connection_is_no_poison(database: Database) -> None:
    world = World(database)
    cuts = iter([True, True])

    @sa.event.listens_for(database.writer, "before_cursor_execute")
    def _cut(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if "INSERT INTO events" in statement and next(cuts, False):
            if database.is_sqlite:
                raise sqlite3.OperationalError("database is locked")
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert world.take(*(an_event(f"m{n}", "u1") for n in range(5)))["applied"] == 5
    assert next(cuts, None) is None
    assert world.quarantined() == []


def deadly(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
    """Apply the rule, but end the process at an event with the property `deadly`."""
    if any(isinstance(happening, Event) and happening.properties.get("deadly") for happening in happenings):
        os._exit(9)
    return advance(contact, happenings, **given)


def work_until_death(url: str) -> None:
    """Drain everything, as a worker process would."""
    World(open_database(url), rule=deadly).settle()


def test_an_event_that_ends_the_process_is_found_by_restarting(database: Database, database_url: str) -> None:
    world = World(database)
    world.accept(*(an_event(f"m{n}", f"u{n % 40}", properties={"deadly": n == 77}) for n in range(160)))
    # A forked process opens its own connections.
    database.close()
    deaths = 0
    while True:
        worker = get_context("fork").Process(target=work_until_death, args=(database_url,))
        worker.start()
        worker.join()
        if worker.exitcode == 0:
            break
        deaths += 1
        assert worker.exitcode == 9
        assert deaths <= CRASHES_MAX
    assert deaths > 1
    assert world.rows(schema.inbox) == []
    assert world.quarantined() == [("crash", "m77")]
    for n in range(40):
        mine = [f"m{m}" for m in range(n, 160, 40) if m != 77]
        assert world.applied(world.who(f"u{n}")) == mine
    world.check()


def test_failing_often_without_dying_is_no_crash(database: Database) -> None:
    """Attempts are counted for the processes that did not live to take them back."""
    world = World(database)
    world.accept(*(an_event(f"m{n}", "u1") for n in range(5)))

    def refuse(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "INSERT INTO events" in statement:
            raise MemoryError

    sa.event.listen(database.writer, "before_cursor_execute", refuse)
    for _ in range(2 * CRASHES_MAX):
        with pytest.raises(MemoryError):
            world.drain()
    sa.event.remove(database.writer, "before_cursor_execute", refuse)
    assert world.settle()["applied"] == 5
    assert world.quarantined() == []


def test_a_rule_that_gets_no_memory_blames_nobody(database: Database) -> None:
    left: list[type[Exception]] = [MemoryError]

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        if left:
            raise left.pop(0)
        return advance(contact, happenings, **given)

    world = World(database, rule=rule)
    world.accept(an_event("m1", "u1"), an_event("m2", "u2"))
    with pytest.raises(MemoryError):
        world.drain()
    assert world.settle()["applied"] == 2
    assert world.quarantined() == []

    # An alarm that raised is run once more by itself.
    left += [ZeroDivisionError, MemoryError]
    with database.write() as connection:
        alarmed = schema.contacts.c.id == world.who("u1")
        connection.execute(sa.update(schema.contacts).where(alarmed).values(wake_at=NOW))
    with pytest.raises(MemoryError):
        world.ring()
    assert world.quarantined() == []


def test_a_careful_worker_is_not_taken_for_a_dead_one(
    postgresql_database: Database, postgresql_url: str
) -> None:
    """While one worker runs a shard's first batch, another one leaves the shard to it."""
    world = World(postgresql_database)
    other = World(open_database(postgresql_url))
    seen: list[Any] = []

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        (trial,) = other.rows(schema.trials)
        seen.append((trial.attempts, other.drain(trial.shard)))
        return advance(contact, happenings, **given)

    world.rule = rule
    world.accept(an_event("m1", "u1"))
    assert world.drain()["applied"] == 1
    assert seen == [(1, {})]
    other.database.close()


def fatal(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
    """Apply the rule, but end the process at the alarm of the first contact."""
    if contact.id == 1:
        os._exit(9)
    return advance(contact, happenings, **given)


def ring_until_death(url: str, now: int) -> None:
    """Ring what is due, as a worker process would."""
    world = World(open_database(url), rule=fatal)
    world.clock.advance_to(now)
    while world.ring().more:
        pass


def test_an_alarm_that_ends_the_process_does_not_stop_the_others(
    database: Database, database_url: str
) -> None:
    world = World(database)
    world.take(*(an_event(f"m{n}", f"u{n}") for n in range(20)))
    with database.write() as connection:
        connection.execute(sa.update(schema.contacts).values(wake_at=NOW))
    database.close()
    for minute in range(60):
        given = (database_url, NOW + minute * MINUTE)
        worker = get_context("fork").Process(target=ring_until_death, args=given)
        worker.start()
        worker.join()
        due = {row.id for row in world.rows(schema.contacts) if row.wake_at < FOREVER}
        database.close()
        if due == {1}:
            break
    assert due == {1}, "everybody else has rung"
