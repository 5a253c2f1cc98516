"""Mail about a thing between the two gates: a reversal that is accepted, and one that is applied."""

import pytest

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim import claim
from nurture.delivery.send_gate import SendGate
from nurture.delivery.types import Delivery
from nurture.domain.measure import Once, OnEvent
from nurture.domain.playbook import EntityKind, Reversal
from tests.delivery.world import KEYS, SUPPRESSION_KEY, PlainComposer
from tests.domain.build import a_measure, a_playbook, on
from tests.journey.builders import World, an_event

ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Completed", "Order Shipped"),),
    reversed_by=(Reversal(on("Order Cancelled")),),
)
SHIPPED = a_measure("any/shipped", trigger=OnEvent(("Order Shipped",)), entity="order", once=Once("entity"))


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(SHIPPED, entities={"order": ORDER}))


def delivery_of(world: World) -> Delivery:
    return Delivery(
        clock=world.clock,
        playbooks=world.playbooks,
        keys=KEYS,
        suppression_key=SUPPRESSION_KEY,
        base_url="https://mail.shop.example",
        worker="one",
        composer=PlainComposer(),
    )


def status(world: World) -> tuple[str, str]:
    (row,) = world.rows(t.messages)
    return row.status, row.reason


@pytest.mark.parametrize("name", ["Order Cancelled", "Page Viewed"])
def test_an_event_that_is_applied_between_the_gates_sends_the_mail_back(world: World, name: str) -> None:
    delivery, about = delivery_of(world), {"order_id": "A"}
    world.take(an_event("1", "e1", name="Order Shipped", properties=about))
    chunk = claim(world.database, delivery, lane="main")
    assert status(world) == ("ready", "")
    world.take(an_event("2", "e1", name=name, properties=about))
    assert list(SendGate(world.database, delivery, chunk).mails()) == []
    if name == "Order Cancelled":
        assert status(world) == ("cancelled", "entity_reversed")
    else:
        # The guard judges it anew, and the order stands.
        assert status(world) == ("waiting", "changed")
        assert (
            len(
                list(SendGate(world.database, delivery, claim(world.database, delivery, lane="main")).mails())
            )
            == 1
        )


def test_an_accepted_reversal_holds_the_mail_back_until_it_is_applied(world: World) -> None:
    delivery, about = delivery_of(world), {"order_id": "A"}
    world.take(an_event("1", "e1", name="Order Shipped", properties=about))
    world.accept(an_event("2", "e1", name="Order Cancelled", properties=about))
    assert claim(world.database, delivery, lane="main").ready == []
    assert status(world) == ("waiting", "events_pending")
    world.settle()
    assert status(world) == ("cancelled", "entity_reversed")
