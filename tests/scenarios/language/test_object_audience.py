"""Timeline of an object's event for everybody in an audience: a new blend, told once to the people whom it suits."""

from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA, BEN, EVE = "ada@example.com", "ben@example.com", "eve@example.com"
PARTS = """\
properties: {title: text, product_id: text, taste: text}
entities: {order: {key: order_id, of: [Order Completed], counts_from: Order Completed}}
facts: {orders: {count: order}, tastes: {set: taste, of: Survey Answered}}
objects: {product: {key: product_id, of: [Product Published], wakes: [Product Published]}}
"""
NEWS = """\
goal: the right tea for the right people
audience: '"green" in tastes'
form: letter
call_to_action: {kind: read, link: "{{ brand.shop_url }}/{{ event.product_id }}"}
kind: accelerator
purpose: nurture
topic: news
trigger: {object: product, event: Product Published, watchers: audience}
steps:
  - mail: news
    send_at: {local_time: "10:00"}
"""
SAMPLE = {"event": {"product_id": "sencha"}}


def test_an_object_is_told_once_to_everybody_in_the_audience(sqlite_database: Database) -> None:
    world = World(sqlite_database, loaded=a_shop(PARTS, {"lead/any/news": (NEWS, SAMPLE)}))
    for who, taste in ((ADA, "green"), (BEN, "black"), (EVE, "green")):
        world.tell(who, "Survey Answered", taste=taste)
        world.consent(who, "news")
    world.tell(EVE, "Order Completed", order_id="o1")
    world.live(HOUR)
    world.tell("", "Product Published", product_id="sencha")
    world.live(DAY)
    world.tell("", "Product Published", product_id="sencha", title="Sencha, second picking")
    world.live(DAY)
    assert [world.mails(who) for who in (ADA, BEN, EVE)] == [
        [("2026-03-03T09:00:00Z", "lead/any/news/news")], [], []
    ]  # fmt: skip
