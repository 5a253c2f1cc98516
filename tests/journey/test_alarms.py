"""The alarm clock: who is due is advanced with what is pending; who sleeps costs nothing; adopting a playbook."""

import sqlalchemy as sa

from nurture.database import schema
from nurture.database.engine import Database
from nurture.domain.instant import FOREVER, HOUR
from nurture.domain.measure import MailStep, OnEvent, WaitFor
from nurture.journey.drain import adopt
from tests.domain.build import a_measure, a_playbook
from tests.journey.builders import NOW, World, an_event

SLOW = a_measure(
    "lead/slow",
    trigger=OnEvent(("Asked",)),
    steps=(WaitFor("pause", 2 * HOUR), MailStep("mail", "mail")),
)


def asleep(database: Database, count: int) -> World:
    world = World(database, a_playbook(SLOW))
    world.take(*(an_event(f"m{n}", f"u{n}", name="Asked") for n in range(count)))
    return world


def test_alarms_ring_when_they_are_due_and_not_before(database: Database) -> None:
    world = asleep(database, 3)
    assert {row.wake_at for row in world.rows(schema.contacts)} == {NOW + 2 * HOUR}
    world.clock.advance_to(NOW + 2 * HOUR - 1)
    assert world.ring() == {}
    world.clock.advance_to(NOW + 2 * HOUR)
    counts = world.ring()
    assert (counts["rung"], counts["messages"]) == (3, 3)
    assert {row.wake_at for row in world.rows(schema.contacts)} == {FOREVER}
    assert world.ring() == {}
    world.check()


def test_the_oldest_alarms_ring_first_and_a_call_is_bounded(database: Database) -> None:
    world = asleep(database, 5)
    late = world.who("u3")
    with database.write() as connection:
        table = schema.contacts
        connection.execute(sa.update(table).where(table.c.id == late).values(wake_at=NOW + HOUR))
    world.clock.advance_to(NOW + 5 * HOUR)
    assert world.ring(limit=1).more
    assert [row.contact_id for row in world.rows(schema.messages)] == [late]
    assert world.ring(limit=3)["rung"] == 3
    assert not world.ring(limit=3).more
    assert len(world.rows(schema.messages)) == 5


def test_a_ring_applies_what_is_pending_first(database: Database) -> None:
    """Events accepted before the alarm are applied first: the exit is not overtaken."""
    ends = a_measure("lead/slow", trigger=SLOW.trigger, steps=SLOW.steps)
    world = World(database, a_playbook(ends))
    world.take(an_event("m1", "u1", name="Asked"))
    order = {"name": "Order Completed", "properties": {"order_id": "o1"}}
    world.accept(an_event("m2", "u1", received_at=NOW + HOUR, **order))
    world.clock.advance_to(NOW + 3 * HOUR)
    counts = world.ring()
    assert (counts["rung"], counts["applied"], counts["messages"]) == (1, 1, 0)
    assert world.contact("u1").track == "customer"
    assert [(run.status, run.reason) for run in world.rows(schema.runs)] == [("stopped", "track_changed")]
    assert world.rows(schema.inbox) == []
    world.check()


def test_an_alarm_waits_for_an_event_that_only_a_drain_can_apply(database: Database) -> None:
    world = World(database, a_playbook(SLOW))
    world.take(an_event("m1", "u1", name="Asked"), an_event("m2", "e1"))
    world.accept(an_event("j", "u1 e1", kind="identify", name="Identified", received_at=NOW + HOUR))
    world.clock.advance_to(NOW + 3 * HOUR)
    assert world.ring()["messages"] == 0
    assert world.settle()["merged"] == 1
    while world.ring():
        pass
    assert len(world.rows(schema.messages)) == 1
    world.check()


def test_a_settled_message_wakes_its_run(database: Database) -> None:
    two = a_measure(
        "lead/two", trigger=OnEvent(("Asked",)), steps=(MailStep("one", "one"), MailStep("two", "two"))
    )
    world = World(database, a_playbook(two))
    world.take(an_event("m1", "u1", name="Asked"))
    world.clock.advance_to(NOW + HOUR)
    with database.write() as connection:
        connection.execute(sa.update(schema.messages).values(status="sent", settled_at=NOW + HOUR))
        connection.execute(sa.update(schema.contacts).values(wake_at=NOW + HOUR))
    assert world.ring()["messages"] == 1
    assert [(row.step, row.status, row.told) for row in world.rows(schema.messages)] == [
        ("one", "sent", True),
        ("two", "waiting", False),
    ]


def test_a_publish_wakes_people_page_by_page(database: Database) -> None:
    world = asleep(database, 5)
    with database.write() as connection:
        connection.execute(schema.active_playbook.insert().values(id=1, playbook_id=1, woken=0))
    world.use(a_playbook(SLOW, rules_hash="r2"))

    def page() -> int:
        counts = adopt(database, clock=world.clock, playbooks=world.playbooks, limit=2)
        return counts["woken"]

    assert [page() for _ in range(5)] == [2, 2, 1, 0, 0]
    assert {row.wake_at for row in world.rows(schema.contacts)} == {NOW}
    world.ring()
    assert {row.adopted for row in world.rows(schema.contacts)} == {"r2"}
    assert {row.wake_at for row in world.rows(schema.contacts)} == {NOW + 2 * HOUR}
    with database.write() as connection:
        connection.execute(sa.update(schema.active_playbook).values(woken=0))
    assert [page() for _ in range(3)] == [0, 0, 0], "who has the rules already sleeps on"
