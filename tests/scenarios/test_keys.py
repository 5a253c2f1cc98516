"""A thing whose key several programs write differently is one thing: in facts, runs, holds, waits and watches."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.sends.hand_in import SendOrder, send
from nurture.app.sends.options import SendOptions
from nurture.app.sends.recipients import Recipients
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, to_iso
from tests.scenarios.world import MONDAY, World

ADA = "ada@shop.example"
GOODS = [{"product_id": "7", "name": "Espresso", "category": "beans", "quantity": 1, "price": 10}]
PRESALE = "customer/advocate/presale_notice"
AS_WRITTEN: list[Any] = [7, " 7 ", 7.0, "7\u00a0"]


@pytest.fixture
def world(sqlite_database: Database) -> World:
    return World(sqlite_database)


def order(world: World, key: Any = "7") -> None:
    world.tell(ADA, "Order Completed", order_id=key, revenue=10, total=10, currency="EUR", products=GOODS)


def ask_for_a_product(world: World, key: Any = "7") -> None:
    """Let the person ask for product 7, and let it be back under this key."""
    world.tell(ADA, "Back In Stock Requested", product_id=" 7")
    world.live(HOUR)
    world.tell("", "Product Back In Stock", product_id=key, name="Espresso", stock=4, price=1, currency="EUR")
    world.live(HOUR)


def sent(world: World) -> list[str]:
    return [name for _, name in world.mails(ADA)]


def test_an_order_has_one_receipt_and_one_cancellation(world: World) -> None:
    for key in AS_WRITTEN:
        order(world, key)
    for key in AS_WRITTEN:
        world.tell(ADA, "Order Refunded", order_id="7", refund_id=key, total=1, currency="EUR")
    world.work()
    for key in AS_WRITTEN:
        world.tell(ADA, "Order Cancelled", order_id=key)
    world.work()

    assert sorted(sent(world)) == [
        "any/order_cancelled/cancelled",
        "any/refund_confirmed/refunded",
        "customer/any/order_confirmation/receipt",
    ]


def test_an_occasion_mails_a_person_once(world: World) -> None:
    order(world, "7")
    order(world, "8")
    world.tell(ADA, "Survey Answered", survey="nps_survey", score=10)
    world.tell(ADA, "Consent Given", topic="members")
    world.work()
    for request in ("first", "second"):
        people, options = Recipients(contacts=(1,)), SendOptions("spring")
        send(world.services, SendOrder(PRESALE, people, request, "ops", options=options))
        world.live(DAY)

    decided = [name for _, name, _, _ in world.ledger(ADA)]
    assert decided.count(f"{PRESALE}/notice") == 1


def test_a_refund_without_a_number_is_confirmed_once_for_its_order(world: World) -> None:
    for key in ("7", "8"):
        order(world, key)
    for key in ("7", "8", "8"):
        world.tell(ADA, "Order Refunded", order_id=key, total=1, currency="EUR")
    world.work()

    assert sent(world).count("any/refund_confirmed/refunded") == 2


def test_a_moved_appointment_has_one_reminder(world: World) -> None:
    for day, (name, key) in enumerate([("Appointment Booked", "7"), ("Appointment Changed", " 7")]):
        starts_at, ends_at = MONDAY + (5 + day) * DAY, MONDAY + (5 + day) * DAY + HOUR
        values: dict[str, Any] = {
            "starts_at": to_iso(starts_at),
            "ends_at": to_iso(ends_at),
            "location": "Shop",
            "host": "Mira",
        }
        world.tell(ADA, name, appointment_id=key, subject="Tasting", **values)
        world.live(HOUR)
    world.live(7 * DAY)

    assert [at for at, name in world.mails(ADA) if name == "lead/any/appointment/reminder"] == [
        "2026-03-07T09:00:00Z"
    ]


@pytest.mark.parametrize("key", AS_WRITTEN)
def test_a_person_hears_of_a_product_asked_for(world: World, key: Any) -> None:
    ask_for_a_product(world, key)

    assert sent(world) == ["lead/any/back_in_stock/back"]


def test_a_closed_case_holds_nothing(world: World) -> None:
    world.tell(ADA, "Support Case Opened", case_id=7, subject="Late")
    world.tell(ADA, "Support Case Closed", case_id=" 7")
    ask_for_a_product(world)

    assert "lead/any/back_in_stock/back" in sent(world)


def test_an_order_is_delivered_once(world: World) -> None:
    order(world)
    for key in AS_WRITTEN:
        world.tell(ADA, "Order Delivered", order_id=key)
    world.work()

    with world.database.read() as connection:
        statement = sa.select(t.milestones.c.key).where(t.milestones.c.name == "delivered")
        assert list(connection.scalars(statement)) == ["7"]
