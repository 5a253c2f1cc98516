"""Runs in the database: their entity, the mail that ends with it, and alarms that were due before a merge."""

from dataclasses import replace
from typing import Any

from nurture.database import schema
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, SECOND
from nurture.domain.measure import LocalSlot, MailStep, Once, OnEvent, OnSchedule, WaitFor
from nurture.domain.playbook import EntityKind, Reversal
from tests.domain.build import a_measure, a_playbook, on
from tests.journey.builders import NOW, World, an_event

ORDER = EntityKind(
    "order", ("order_id",), (on("Order Completed"),), reversed_by=(Reversal(on("Order Voided")),)
)
RECEIPT = a_measure(
    "any/receipt",
    trigger=OnEvent(("Order Shipped",)),
    entity="order",
    once=Once("shipment_id"),
    steps=(MailStep("mail", "mail", send_at=LocalSlot(20 * 60)),),
)
LATER = a_measure(
    "any/later",
    trigger=OnEvent(("Subscribed",)),
    steps=(WaitFor("pause", HOUR), MailStep("mail", "mail")),
)


def shipped(number: int, order: str, who: str = "u1") -> Any:
    properties = {"order_id": order, "shipment_id": f"s{number}"}
    return an_event(f"s{number}", who, name="Order Shipped", properties=properties)


def test_a_reversal_cancels_the_waiting_mail_of_ended_runs_about_that_order_alone(database: Database) -> None:
    world = World(database, a_playbook(RECEIPT, entities={"order": ORDER}))
    world.take(an_event("a", "a1", name="Page Viewed"), shipped(1, "o1"), shipped(2, "o1"), shipped(3, "o2"))
    rows = world.rows(schema.runs)
    assert [(row.key, row.entity, row.entity_key, row.began_as, row.status) for row in rows] == [
        (f"s{number}", "order", order, "any/receipt", "done")
        for number, order in ((1, "o1"), (2, "o1"), (3, "o2"))
    ]
    world.take(an_event("v", "u1", name="Order Voided", properties={"order_id": "o1"}))
    assert [(row.run_key, row.status, row.reason) for row in world.rows(schema.messages)] == [
        ("s1", "cancelled", "entity_reversed"),
        ("s2", "cancelled", "entity_reversed"),
        ("s3", "waiting", ""),
    ]
    world.check()


def test_a_restoration_cancels_the_waiting_mail_that_a_cancellation_began(database: Database) -> None:
    order = replace(
        ORDER,
        amount="total",
        reversed_by=(Reversal(on("Order Voided")), Reversal(on("Order Refunded"), amount="total")),
        restored_by=(on("Order Restored"),),
    )
    about = replace(RECEIPT, trigger=OnEvent(("Order Voided", "Order Refunded")), once=Once("event"))
    world = World(database, a_playbook(about, entities={"order": order}))
    bought = an_event("b", "u1", name="Order Completed", properties={"order_id": "o1", "total": 10})
    part = an_event("r", "u1", name="Order Refunded", properties={"order_id": "o1", "total": 4})
    world.take(bought, part, an_event("v", "u1", name="Order Voided", properties={"order_id": "o1"}))
    assert [row.status for row in world.rows(schema.runs)] == ["done", "done"]
    later = NOW + SECOND
    world.clock.advance_to(later)
    restored = {"order_id": "o1"}
    world.take(
        an_event("w", "u1", name="Order Restored", properties=restored, occurred_at=later, received_at=later)
    )
    assert [(row.run_key, row.status, row.reason) for row in world.rows(schema.messages)] == [
        ("r", "waiting", ""),
        ("v", "cancelled", "entity_restored"),
    ]
    world.check()


def test_a_reversal_reaches_the_mail_of_whoever_was_merged_into_the_person(sqlite_database: Database) -> None:
    world = World(sqlite_database, a_playbook(RECEIPT, entities={"order": ORDER}))
    world.take(shipped(1, "o1", "a1"), an_event("x", "u1"))
    world.take(an_event("j", "u1 a1", kind="identify", name="Identified"))
    world.take(an_event("v", "u1", name="Order Voided", properties={"order_id": "o1"}))
    assert [row.reason for row in world.rows(schema.messages)] == ["entity_reversed"]


def test_an_alarm_that_was_due_before_a_merge_rings_first(database: Database) -> None:
    digest = a_measure("any/digest", trigger=OnSchedule(LocalSlot(13 * 60)), once=Once("day"))
    world = World(database, a_playbook(LATER, digest))
    world.take(an_event("s", "e1", name="Subscribed"), an_event("x", "u1", name="Page Viewed"))
    due = NOW + HOUR
    # The other contact's clock passes the instant at which these alarms were due, and nobody has rung them yet.
    world.clock.advance_to(due + 5 * SECOND)
    world.take(an_event("y", "u1", name="Page Viewed", occurred_at=due, received_at=due + 4 * SECOND))
    world.take(
        an_event(
            "j", "u1 e1", kind="identify", name="Identified", occurred_at=due, received_at=due + 5 * SECOND
        )
    )
    assert sorted((row.measure, row.due_at, row.status) for row in world.rows(schema.messages)) == [
        ("any/digest", due, "cancelled"),
        ("any/digest", due, "waiting"),
        ("any/later", due, "waiting"),
    ]
    world.check()


def test_an_alarm_due_before_an_operators_merge_rings_and_one_behind_a_pending_event_does_not(
    sqlite_database: Database,
) -> None:
    from nurture.journey.merge import merge

    world = World(
        sqlite_database, a_playbook(LATER, replace(LATER, path="any/more", trigger=OnEvent(("X",))))
    )
    world.take(an_event("s", "e1", name="Subscribed"), an_event("t", "u1", name="X"))
    world.clock.advance_to(NOW + DAY)
    world.accept(an_event("w", "e1", name="Page Viewed", received_at=NOW + HOUR - 1))
    with world.database.write() as connection:
        merge(
            connection,
            world.who("u1"),
            world.who("e1"),
            now=NOW + DAY,
            playbook=world.playbook,
            evidence={"actor": "ops"},
        )
    assert world.rows(schema.messages) == []
    world.settle()
    world.ring()
    assert sorted(row.measure for row in world.rows(schema.messages)) == ["any/later", "any/more"]
