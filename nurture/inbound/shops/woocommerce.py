"""WooCommerce: what its webhooks say. Written from the plugin's class-wc-webhook.php and its REST API, version 3.

The delivery id is a hash of the webhook and the second, so it identifies nothing: the order's number and state do. A
call carries the thing as it was when the shop sent it, and comes once. Times with `_gmt` are UTC without saying so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Call, Document, parse_json
from nurture.inbound.shops.statement import (
    Link,
    OrderStanding,
    Profile,
    RefundList,
    ShopEvent,
    ShopOptions,
    Statement,
    Update,
    deleted_order,
)
from nurture.inbound.shops.values import (
    LINES_MAX,
    clock,
    filled,
    join_key,
    money,
    people,
    plain,
    unit_price,
    whole,
)

_PAID: Final = frozenset({"processing", "completed", "refunded"})
_ORDERS: Final = frozenset({"order.created", "order.updated", "order.restored"})
_CUSTOMERS: Final = frozenset({"customer.created", "customer.updated"})


@dataclass(frozen=True, slots=True)
class _Shop:
    name: str
    now: Instant
    options: ShopOptions
    topic: str

    def thing(self, kind: str, number: str) -> str:
        return join_key(self.name, kind, number)

    def user_id(self, number: str) -> str:
        """Return the customer's number where it is the site's user id; a guest has the number 0."""
        return number if self.options.user_ids and number != "0" else ""


def read(call: Call, *, now: Instant, options: ShopOptions) -> Statement | None:
    """Return what the call says; None when it cannot be read."""
    value = parse_json(call.body)
    if not isinstance(value, dict):
        return None
    topic = call.header("x-wc-webhook-topic").strip().lower()
    reader = _reader_of(topic)
    if reader is None:
        return Statement(ignored="ignored")
    return reader(Document(value), _Shop(_shop_of(call), now, options, topic))


def _reader_of(topic: str) -> Callable[[Document, _Shop], Statement | None] | None:
    if topic in _ORDERS:
        return _read_order
    if topic in _CUSTOMERS:
        return _read_customer
    return _read_order_deleted if topic == "order.deleted" else None


def _shop_of(call: Call) -> str:
    """Return host and path of the shop's address, so that it is the same with http and https."""
    parts = urlsplit(call.header("x-wc-webhook-source").strip())
    return f"{parts.netloc}{parts.path}".strip("/").lower()


# ---- orders ----------------------------------------------------------------------------------------------


def _read_order(order: Document, shop: _Shop) -> Statement | None:
    number = order.text("id")
    if not number:
        return None
    billing, customer = order.within("billing"), order.text("customer_id")
    identities = people(
        user_id=shop.user_id(customer), emails=[billing.text("email")], phones=[billing.text("phone")]
    )
    thing, at = shop.thing("order", number), clock(order, "date_modified_gmt", "date_created_gmt") or shop.now
    if not identities:
        # An order typed in by the shopkeeper, without an address.
        return Statement(links=(Link(thing, at, anonymous=True),), ignored="anonymous")
    person = ShopEvent(
        thing,
        "",
        "",
        at,
        traits=filled(
            firstName=billing.text("first_name"),
            lastName=billing.text("last_name"),
            country=billing.text("country"),
            woocommerce_customer_id=customer if customer != "0" else "",
        ),
        identities=identities,
        of=(thing,),
    )
    says = [*_states(order, person), *_standing(order, person, shop)]
    return Statement(links=(Link(thing, at, identities),), says=tuple(says))


def _standing(order: Document, person: ShopEvent, shop: _Shop) -> list[Update]:
    """Return whether the order is cancelled; a cancelled one may be paid after all, or be taken out of the bin."""
    status = _status_of(order)
    if status == "cancelled" or (status == "failed" and clock(order, "date_paid_gmt") is not None):
        cancelled = _event(order, person, "cancelled", "Order Cancelled", person.at, cancel_reason=status)
        return [OrderStanding(cancelled, is_cancelled=True)]
    if not _is_paid(order):
        return []
    # A deletion bears the instant of its call, so the restoration does too.
    at = shop.now if shop.topic == "order.restored" else person.at
    return [OrderStanding(_event(order, person, "restored", "Order Restored", at), is_cancelled=False)]


def _status_of(order: Document) -> str:
    return order.text("status").lower().removeprefix("wc-")


def _is_paid(order: Document) -> bool:
    return clock(order, "date_paid_gmt") is not None or _status_of(order) in _PAID


def _states(order: Document, person: ShopEvent) -> list[ShopEvent | Update]:
    paid_at = clock(order, "date_paid_gmt")
    says: list[ShopEvent | Update] = []
    if _is_paid(order):
        says.append(_paid(order, person, paid_at or clock(order, "date_created_gmt") or person.at))
        amounts = {refund.text("id"): plain(abs(money(refund, "total"))) for refund in order.all("refunds")}
        # No number, no refund; it is told with the order each time, so the next call has it.
        refund = _event(order, person, "refund", "Order Refunded", person.at, currency=_currency(order))
        says.append(RefundList(refund, {name: amount for name, amount in amounts.items() if name}))
    else:
        placed_at = clock(order, "date_created_gmt") or person.at
        says.append(replace(person, state="placed", name="Identified", at=placed_at, kind="identify"))
    if _status_of(order) == "failed" and paid_at is None:
        # The person may try again: a failed payment takes nothing back.
        amount = plain(money(order, "total"))
        failed = {"total": amount, "currency": _currency(order), "reason": "failed"}
        says.append(_event(order, person, f"failed {person.at}", "Payment Failed", person.at, **failed))
    return says


def _event(
    order: Document, person: ShopEvent, state: str, name: str, at: Instant, **properties: Any
) -> ShopEvent:
    named = filled(order_id=order.text("id"), **properties)
    return replace(person, state=state, name=name, at=at, properties=named)


def _currency(order: Document) -> str:
    return order.text("currency").upper()


def _paid(order: Document, person: ShopEvent, at: Instant) -> ShopEvent:
    lines = list(order.all("line_items"))
    codes = [coupon.text("code") for coupon in order.all("coupon_lines")]
    return _event(
        order,
        person,
        "paid",
        "Order Completed",
        at,
        order_number=order.text("number"),
        total=plain(money(order, "total")),
        # Amounts of lines are without tax and after discounts.
        revenue=plain(sum((money(line, "total") for line in lines), Decimal(0))),
        shipping=plain(money(order, "shipping_total")),
        tax=plain(money(order, "total_tax")),
        discount=plain(money(order, "discount_total")),
        coupon=", ".join(code for code in codes if code),
        currency=_currency(order),
        products=[_line(line) for line in lines[:LINES_MAX]],
    )


def _line(line: Document) -> Mapping[str, Any]:
    quantity, variation = whole(line, "quantity"), line.text("variation_id")
    return filled(
        product_id=line.text("product_id"),
        variant_id="" if variation == "0" else variation,
        sku=line.text("sku"),
        name=line.text("name"),
        price=plain(unit_price(money(line, "total"), quantity)),
        quantity=quantity,
        image_url=line.within("image").text("src"),
    )


def _read_order_deleted(order: Document, shop: _Shop) -> Statement | None:
    """Return what a deleted order says, of which only the number is told: it is taken back if it counted."""
    number = order.text("id")
    if not number:
        return None
    deleted = deleted_order(number, shop.thing("order", number), at=shop.now)
    return Statement(says=(OrderStanding(deleted, is_cancelled=True),))


# ---- customers -------------------------------------------------------------------------------------------


def _read_customer(customer: Document, shop: _Shop) -> Statement | None:
    number = customer.text("id")
    if not number:
        return None
    billing = customer.within("billing")
    identities: tuple[Identity, ...] = people(
        user_id=shop.user_id(number),
        emails=[customer.text("email"), billing.text("email")],
        phones=[billing.text("phone")],
    )
    if not identities:
        return Statement(ignored="anonymous")
    thing = shop.thing("customer", number)
    at = clock(customer, "date_modified_gmt", "date_created_gmt") or shop.now
    profile = ShopEvent(
        thing,
        "",
        "Identified",
        at,
        kind="identify",
        traits=filled(
            firstName=customer.text("first_name") or billing.text("first_name"),
            lastName=customer.text("last_name") or billing.text("last_name"),
            country=billing.text("country"),
            woocommerce_customer_id=number,
        ),
        identities=identities,
    )
    return Statement(links=(Link(thing, at, identities),), says=(Profile(profile),))
