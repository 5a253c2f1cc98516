"""The rows that models learn from, as they are read from the database."""

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from nurture.learning.activity_queries import first_event, load_activity, load_first_conversions, load_leads
from nurture.learning.order_queries import load_orders
from tests.measurement.shop import Shop, a_shop

ADA, BOB, CY = "ada@shop.example", "bob@shop.example", "cy@shop.example"


def ids(shop: Shop) -> dict[str, int]:
    return {row.email: row.id for row in shop.rows(t.contacts)}


def test_an_event_is_known_once_it_was_received_or_was_imported(database: Database) -> None:
    shop = a_shop(database)
    shop.tell(ADA, "Page Viewed", at=shop.now - 10 * DAY)
    shop.tell(BOB, "Page Viewed", at=shop.now - 10 * DAY, historic=True)
    shop.tell(BOB, "Page Viewed", at=shop.now - 3 * DAY, historic=True)
    shop.tell(CY, "Identified")
    shop.work()
    people = ids(shop)
    with database.read() as connection:
        assert first_event(connection) == shop.now - 10 * DAY
        before = load_activity(connection, at=shop.now - HOUR)
        after = load_activity(connection, at=shop.now + HOUR)
        left_out = load_activity(connection, at=shop.now + HOUR, left_out=["Page Viewed"])
        assert load_leads(connection) == set(people.values())
    assert (before.person, before.number) == ([people[BOB]], [2])
    assert (before.first, before.last) == ([shop.now - 10 * DAY], [shop.now - 3 * DAY])
    assert [list(recent) for recent in before.recent] == [[1], [2], [2]]
    assert sorted(after.person) == sorted([people[ADA], people[BOB]])
    assert list(left_out.person) == []


def test_orders_are_read_by_person_and_in_the_main_currency(database: Database) -> None:
    shop = a_shop(database)
    for who, order, currency in (
        (ADA, "a1", "EUR"),
        (ADA, "a2", "EUR"),
        (BOB, "b1", "USD"),
        (CY, "c1", "EUR"),
    ):
        shop.tell(who, "Order Completed", order_id=order, revenue="10.00", currency=currency)
    shop.work()
    shop.clock.advance_to(shop.now + DAY)
    shop.tell(ADA, "Order Cancelled", order_id="a2")
    shop.work()
    people = ids(shop)
    with database.write() as connection:
        connection.execute(
            sa.update(t.contacts).where(t.contacts.c.id == people[CY]).values(erased_at=shop.now)
        )
    with database.read() as connection:
        early = load_orders(connection, {"order"}, before=shop.now - HOUR)
        orders = load_orders(connection, {"order"}, before=shop.now + HOUR)
        assert load_first_conversions(connection).keys() == set(people.values())
    assert early.currency == orders.currency == "EUR"
    assert sorted(zip(early.person, early.amount, strict=True)) == [
        (people[ADA], 1000),
        (people[ADA], 1000),
        (people[BOB], 0),
    ]
    assert sum(orders.number) == 2, "one of Ada's is cancelled, and Cy is erased"
    assert len(set(orders.key)) == 3
