"""A programme that uses all of `entities`, and histories told to it."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.instant import DAY, HOUR, Instant, parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.playbook import Playbook
from nurture.playbook import rebuild

__all__ = ["DAY", "HOUR", "NOON"]

NOON = parse_iso("2026-03-02T12:00:00Z")

SHOP = """\
name: shop
brand: {name: Shop, shop_url: https://shop.example, address: "Main Street 1", currencies: [EUR]}
senders: {default: {name: Shop, address: hello@shop.example}}
locales: [en]
default_zone: UTC
properties: {category: text, full: bool, product_id: text, revenue: decimal, score: integer, channel: text}
entities:
  order:
    key: order_id
    of: [Order Completed, Order Updated]
    counts_from: Order Completed
    amount: revenue
    lines: {in: products, key: [product_id, sku]}
    reversed_by:
      Order Cancelled: full
      Order Refunded: {amount: total, key: refund_id}
    restored_by: Order Restored
    keep: 20
    remember: 800d
  contract: {key: contract_id, of: Contract Signed, reversed_by: {Contract Revoked: full}}
  shipment:
    key: [shipment_id, tracking_number]
    within: order
    of: [Order Shipped, Order Delivered]
    closed_by: {Order Delivered: key}
  cart:
    key: cart_id
    of: [Product Added, Product Removed, Cart Viewed]
    closed_by: {Order Completed: key, Cart Emptied: key}
    lines: {key: product_id, added_by: Product Added, removed_by: [Product Removed, order.lines]}
  case: {key: case_id, of: [Case Opened, Case Updated], closed_by: {Case Closed: key}}
conversion: {by: [order, contract], hold: after_return}
facts:
  orders: {count: order}
  spent: {sum: amount, of: order}
  largest: {max: revenue, of: order}
  first_order_at: {first: order}
  last_order_at: {last: order}
  recent_orders: {count: order, within: 30d}
  shop_orders: {count: {entity: order, where: channel == "shop"}}
  bought: {set: product_id, of: order.lines, keep: 60}
  beans: {sum: quantity, of: {lines: order, where: category == "beans"}}
  beans_spent: {sum: amount, of: {lines: order, where: category == "beans"}}
  last_category: {latest: category, of: order.lines}
  loyal: {ever: order, at_least: 3, within: 365d}
  satisfied:
    verdict:
      "yes": [{event: Survey Answered, where: score >= 9}, contract]
      "no": [{event: Survey Answered, where: score <= 6}]
      open_no: [case]
stages:
  lead:
    aware: {when: "True", may_ask: [use]}
  customer:
    excite: {when: "True", may_ask: [use]}
    ascend: {when: orders >= 2 or spent >= 500, may_ask: [use]}
milestones:
  first_order: {of: order, nth: 1}
  second_order: {of: order, nth: 2}
  bought: {of: order, per: order_id}
holds:
  after_return: {from: Return Requested, at_most: 30d, owner: support, stops: [sales]}
topics: {news: {}}
actions: {use: {sells: false}}
forms: [notice]
"""


@cache
def shop(text: str = SHOP) -> Playbook:
    return rebuild({"playbook.yaml": text}, id_=1).playbook


def changed(old: str, new: str) -> Playbook:
    assert old in SHOP
    return shop(SHOP.replace(old, new))


_numbers = iter(range(1, 1_000_000))


def happened(name: str, after: Instant = 0, *, id: str = "", hint: bool = False, **properties: Any) -> Event:  # noqa: A002
    """Return an event `after` noon; each has an id of its own."""
    return Event(
        seq=0,
        source="page" if hint else "shop",
        message_id=id or f"m{next(_numbers):06}",
        kind="track",
        name=name,
        occurred_at=NOON + after,
        received_at=NOON + after,
        properties=properties,
        hint=hint,
    )


def order(key: str | int, revenue: Any = 100, after: Instant = 0, **given: Any) -> Event:
    return happened("Order Completed", after, order_id=key, revenue=revenue, **given)


def product(key: str, quantity: int = 1, price: Any = 10, **given: Any) -> dict[str, Any]:
    return {"product_id": key, "quantity": quantity, "price": price, **given}


def after(*events: Event, playbook: Playbook | None = None) -> Contact:
    """Return the contact after these events, in this order of arrival."""
    playbook = playbook or shop()
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    now = max(event.received_at for event in events)
    return advance(contact, events, now=now, playbook=playbook, mail=False).contact


def state(contact: Contact) -> dict[str, Any]:
    """Return what must not depend on the order of arrival."""
    memory = contact.memory
    return {
        "facts": contact.facts,
        "track": contact.track,
        "stage": contact.stage,
        "net": memory.net,
        "entities": memory.entities,
        "buried": memory.buried,
    }


def shuffles(events: Sequence[Event], count: int = 12) -> Iterable[list[Event]]:
    """Yield the events backwards, and in several other orders."""
    yield list(reversed(events))
    for seed in range(count):
        places = [blake2b(f"{seed} {place}".encode()).digest() for place in range(len(events))]
        yield [event for _, event in sorted(zip(places, events, strict=True), key=lambda pair: pair[0])]
