"""The mails that a person will get next are those that then come, when nothing new happens."""

from typing import Any

from nurture.app.contacts import next_mails
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from tests.scenarios.world import World

ANN, BEN = "ann@example.com", "ben@example.com"
BEANS = {"product_id": "b", "name": "Beans", "price": 20.0}
ORDER: dict[str, Any] = {"order_id": "o1", "revenue": 20.0, "products": [BEANS]}


def forecast(world: World, who: str, days: int) -> list[tuple[str, str]]:
    return [
        (row["at"], f"{row['measure']}/{row['step']}")
        for row in next_mails(world.services, who, days=days)
        if row["outcome"] == "leaves"
    ]


def test_the_mails_that_come_next_are_those_that_then_come(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.tell(ANN, "Order Completed", **ORDER)
    world.tell(BEN, "Topic Confirmed", topic="news")
    world.consent(ANN, "offers", "surveys")
    world.tell(ANN, "Order Delivered", order_id="o1", at=world.now)
    world.work()
    before = {who: world.mails(who) for who in (ANN, BEN)}
    rows_before = world.ledger()
    expected = {who: forecast(world, who, 35) for who in (ANN, BEN)}
    assert world.ledger() == rows_before
    assert "lead/any/welcome_series/guide" in [name for _, name in expected[BEN]]
    assert "customer/any/nps_survey/ask" in [name for _, name in expected[ANN]]

    world.live(35 * DAY)
    for who in (ANN, BEN):
        assert world.mails(who) == before[who] + expected[who]


def test_a_mail_that_will_be_withheld_has_its_reason_and_each_its_exits(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.tell(ANN, "Order Completed", **ORDER)
    world.live(HOUR)
    rows = {(row["measure"], row["step"]): row for row in next_mails(world.services, ANN, days=60)}
    offer = rows["customer/any/second_order_coupon", "offer"]
    assert (offer["outcome"], offer["reason"]) == ("skipped", "no_consent")
    assert offer["unless"] == ["Order Completed", "Return Requested", "Order Refunded", "Support Case Opened"]
    assert rows["customer/excite/decision_confirmed", "thanks"]["outcome"] == "leaves"
    assert next_mails(world.services, ANN, days=1)[-1]["step"] == "thanks"
