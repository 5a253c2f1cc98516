"""Named lists of watchers in the database: waking by pages, once each; lists that a publication adds."""

from dataclasses import replace

from nurture.database import schema
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from nurture.domain.measure import Once, OnObject
from nurture.domain.playbook import EntityKind, LineRule, Playbook, WatchList
from nurture.journey.objects import wake_watchers
from tests.domain.build import a_measure, a_playbook, on
from tests.journey.builders import NOW, World, an_event

CHANGED = "Product Back In Stock"
NEWS = a_measure(
    "lead/any/news", trigger=OnObject("product", (CHANGED,), lists=("looked", "owns")), once=Once("event")
)
ORDER = EntityKind(
    "order",
    ("order_id",),
    (on("Order Paid"),),
    counts_from=(on("Order Paid"),),
    lines=LineRule(("product_id",), source="products"),
)
LISTS = (
    WatchList("product", "product_id", "looked", begun_by=("Product Viewed",), lasts=5 * DAY),
    WatchList("product", "product_id", "owns", lines_of="order", lasts=800 * DAY),
)


def a_shop(*lists: WatchList, rules_hash: str = "r1") -> Playbook:
    shop = a_playbook(NEWS, rules_hash=rules_hash)
    product = replace(shop.objects["product"], lists=lists)
    return replace(shop, entities={**shop.entities, "order": ORDER}, objects={"product": product})


def watched(world: World) -> set[tuple[str, int]]:
    """Return (list, contact) of the watchers of the kettle."""
    return {(row.kind, row.contact_id) for row in world.rows(schema.watches)}


def test_watchers_on_two_lists_are_woken_once_a_bounded_number_at_a_time(database: Database) -> None:
    world = World(database, a_shop(*LISTS))
    kettle = {"product_id": "kettle"}
    for number in range(5):
        at = NOW - 9 * DAY if number == 4 else NOW
        world.take(
            an_event(f"v{number}", f"u{number}", name="Product Viewed", occurred_at=at, properties=kettle)
        )
    for number in (1, 3):
        bought = {"order_id": f"o{number}", "products": [kettle]}
        world.take(an_event(f"b{number}", f"u{number}", name="Order Paid", properties=bought))
    # Somebody on the list without a name is woken too, and nothing starts for them.
    world.take(an_event("w9", "u9", name="Waitlist Joined", properties=kettle))
    world.take(an_event("change", name=CHANGED, properties=kettle))
    woken, given_up = 0, 0
    while True:
        counts = wake_watchers(world.database, clock=world.clock, playbooks=world.playbooks, limit=2)
        woken, given_up = woken + counts["woken"], given_up + counts["given_up"]
        # The events are applied between the pages.
        world.settle()
        if not counts.more:
            break
    assert (woken, given_up) == (5, 1)
    people = [world.who(f"u{number}") for number in range(5)]
    assert sorted(row.contact_id for row in world.rows(schema.messages)) == sorted(people[:4])
    assert watched(world) == {
        *(("product/looked", person) for person in people[:4]),
        *(("product/owns", people[number]) for number in (1, 3)),
    }


def test_a_list_that_a_publication_adds_holds_what_events_and_orders_say(database: Database) -> None:
    world = World(database, a_shop())
    kettle = {"product_id": "kettle"}
    world.take(an_event("b", "u1", name="Order Paid", properties={"order_id": "o", "products": [kettle]}))
    world.take(an_event("v", "u1", name="Product Viewed", properties=kettle))
    assert watched(world) == set()
    world.use(a_shop(*LISTS, rules_hash="r2"))
    world.clock.advance_to(NOW + HOUR)
    world.take(an_event("p", "u1", name="Page Viewed", received_at=NOW + HOUR))
    who = world.who("u1")
    assert watched(world) == {("product/owns", who), ("product/looked", who)}
    world.check()


def test_a_browser_key_changes_no_object_and_wakes_nobody(database: Database) -> None:
    world = World(database, a_shop(*LISTS))
    kettle = {"product_id": "kettle"}
    world.take(an_event("v", "u1", name="Product Viewed", properties=kettle))
    world.take(
        an_event("forged", "u2", name=CHANGED, hint=True, properties={**kettle, "url": "https://evil"})
    )
    assert (world.rows(schema.objects), world.rows(schema.object_wakes)) == ([], [])
