"""Timelines of named lists of watchers: people who asked, who own, who looked, and whose parcel is on its way."""

from dataclasses import replace

import pytest

from nurture.app import contacts
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, Duration
from nurture.journey.merge import merge, unmerge
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA, BEN, EVE = "ada@example.com", "ben@example.com", "eve@example.com"
PARTS = """\
properties: {title: text, product_id: text, price: decimal, order_id: text}
entities:
  order:
    key: order_id
    of: [Order Completed]
    counts_from: Order Completed
    lines: {in: products, key: product_id}
    reversed_by: {Order Cancelled: full}
facts: {orders: {count: order}}
objects:
  product:
    key: product_id
    of: [Product Updated, Product Back In Stock, Product Price Dropped, Product Recalled]
    wakes: [Product Back In Stock, Product Price Dropped, Product Recalled]
    watchers:
      asked: {from: Back In Stock Requested, until: Back In Stock Declined, for: 180d, asked_for: true}
      owns: {from: order.lines, for: 800d}
      looked: {from: Product Viewed, for: 14d}
      unshipped: {from: order.lines, until: Order Shipped, for: 30d}
"""
COMMON = """\
goal: people hear what concerns them
audience: "True"
form: notice
call_to_action: {kind: read, link: "{{ brand.shop_url }}/{{ event.product_id }}"}
kind: connector
"""
BACK = f"""{COMMON}\
purpose: nurture
topic: reminders
asked_for: true
trigger: {{object: product, event: Product Back In Stock, watchers: [asked]}}
steps:
  - mail: back
"""
DROPPED = f"""{COMMON}\
purpose: nurture
topic: news
trigger: {{object: product, event: Product Price Dropped, watchers: [owns, looked]}}
once: per event
steps:
  - mail: dropped
"""
RECALL = f"""{COMMON}\
purpose: service
trigger: {{object: product, event: Product Recalled, watchers: [unshipped]}}
once: per event
steps:
  - mail: recalled
"""
SAMPLE = {"event": {"product_id": "kettle"}}


def a_world(database: Database) -> World:
    measures = {
        f"{track}/any/{name}": (text, SAMPLE)
        for track in ("lead", "customer")
        for name, text in (("back", BACK), ("dropped", DROPPED))
    }
    return World(database, loaded=a_shop(PARTS, {**measures, "any/recalled": (RECALL, SAMPLE)}))


def about(world: World, name: str, product: str = "kettle", after: Duration = HOUR) -> None:
    """Let an object's event come, and live a while."""
    world.tell("", name, product_id=product)
    world.live(after)


def order(world: World, who: str, key: str, *products: str) -> None:
    world.tell(who, "Order Completed", order_id=key, products=[{"product_id": item} for item in products])
    world.live(HOUR)


def names(world: World, who: str) -> list[str]:
    return [name.rpartition("/")[2] for _, name in world.mails(who)]


def watches(world: World, who: str) -> set[tuple[str, str]]:
    """Return (list, object) of what somebody watches."""
    with world.database.read() as connection:
        number = resolve_contact(connection, who)
        rows = connection.execute(t.watches.select().where(t.watches.c.contact_id == number))
        return {(row.kind, row.key) for row in rows}


def test_people_who_asked_are_mailed_once_by_the_event_that_answers(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    for who in (ADA, BEN, EVE):
        world.tell(who, "Back In Stock Requested", product_id="kettle")
    world.tell(BEN, "Back In Stock Declined", product_id="kettle")
    world.tell(EVE, "Back In Stock Requested", product_id="cup")
    world.live(HOUR)
    # A lower price is no answer: no measure tells those who asked of it.
    about(world, "Product Price Dropped")
    assert watches(world, ADA) == {("product/asked", "kettle")}
    about(world, "Product Back In Stock")
    about(world, "Product Back In Stock")
    # The request is consent for this one mail.
    assert [names(world, who) for who in (ADA, BEN, EVE)] == [["back"], [], ["back"]]
    assert [watches(world, who) for who in (ADA, EVE)] == [set(), {("product/asked", "cup")}]
    why = contacts.why(world.services, ADA, "lead/any/back")
    assert any("asked for by Back In Stock Requested" in str(finding) for finding in why["findings"])


@pytest.mark.parametrize(("has_consent", "expected"), [(False, []), (True, ["back"])])
def test_a_browser_key_puts_nobody_on_a_list_who_did_not_agree(
    sqlite_database: Database, has_consent: bool, expected: list[str]
) -> None:
    world = a_world(sqlite_database)
    world.tell(ADA, "Page Viewed")
    if has_consent:
        world.consent(ADA, "reminders")
    world.hand_in(replace(world.event(ADA, "Back In Stock Requested", product_id="kettle"), hint=True))
    world.live(HOUR)
    about(world, "Product Back In Stock")
    assert names(world, ADA) == expected


def test_standing_lists_tell_of_each_event_until_their_time_is_over(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    order(world, ADA, "o1", "kettle", "cup")
    order(world, EVE, "o2", "cup")
    world.tell(BEN, "Product Viewed", product_id="kettle")
    world.tell(ADA, "Product Viewed", product_id="kettle")
    for who in (ADA, BEN, EVE):
        world.consent(who, "news")
    about(world, "Product Price Dropped", after=DAY)
    about(world, "Product Price Dropped", after=20 * DAY)
    about(world, "Product Price Dropped", after=DAY)
    # On two lists, and told once each time; who only looked is forgotten after two weeks.
    assert [names(world, who) for who in (ADA, BEN, EVE)] == [["dropped"] * 3, ["dropped"] * 2, []]
    assert watches(world, BEN) == set()
    assert watches(world, ADA) == {
        *(("product/owns", item) for item in ("kettle", "cup")),
        *(("product/unshipped", item) for item in ("kettle", "cup")),
    }


def test_a_reversed_order_and_a_parcel_end_lists_over_lines(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    order(world, ADA, "o1", "kettle", "cup")
    order(world, ADA, "o2", "kettle")
    order(world, BEN, "o3", "kettle", "cup")
    order(world, EVE, "o4", "kettle")
    world.tell(ADA, "Order Shipped", order_id="o1")
    world.tell(BEN, "Order Shipped", order_id="o3", products=[{"product_id": "cup"}])
    world.tell(EVE, "Order Cancelled", order_id="o4")
    world.live(HOUR)
    about(world, "Product Recalled", "cup")
    about(world, "Product Recalled", "kettle")
    assert [names(world, who) for who in (ADA, BEN, EVE)] == [["recalled"], ["recalled"], []]
    assert watches(world, EVE) == set()
    world.tell(ADA, "Order Cancelled", order_id="o2")
    world.live(HOUR)
    assert watches(world, ADA) == {("product/owns", "kettle"), ("product/owns", "cup")}


def test_a_parcel_that_is_told_before_its_order_ends_the_same(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    world.tell(ADA, "Order Shipped", order_id="o1", at=world.now)
    order(world, ADA, "o1", "kettle")
    assert watches(world, ADA) == {("product/owns", "kettle")}


def test_a_merge_joins_the_lists_and_an_unmerge_parts_them(sqlite_database: Database) -> None:
    world = a_world(sqlite_database)
    order(world, ADA, "o1", "kettle")
    order(world, BEN, "o2", "cup")
    world.tell(ADA, "Back In Stock Requested", product_id="tin")
    world.tell(BEN, "Back In Stock Requested", product_id="whisk")
    world.live(HOUR)
    apart = watches(world, ADA), watches(world, BEN)
    with world.database.read() as connection:
        ada, ben = (resolve_contact(connection, who) for who in (ADA, BEN))
    playbook, now = world.loaded.playbook, world.now
    joined = world.database.run(
        lambda c: merge(c, ada, ben, now=now, playbook=playbook, evidence={"actor": "ops"})
    )
    assert watches(world, ADA) == apart[0] | apart[1]
    world.database.run(lambda c: unmerge(c, joined.merged, now=now, playbook=playbook))
    assert (watches(world, ADA), watches(world, BEN)) == apart
