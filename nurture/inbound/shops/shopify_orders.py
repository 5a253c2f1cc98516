"""Shopify's orders and checkouts."""

from decimal import Decimal
from typing import Any, Final

from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Document
from nurture.inbound.shops.shopify_parcels import refund_events
from nurture.inbound.shops.shopify_shop import Shop, traits_of
from nurture.inbound.shops.statement import CartContents, Link, ShopEvent, Statement, Update, deleted_order
from nurture.inbound.shops.values import LINES_MAX, clock, filled, flag, money, plain, whole

_PAID: Final = frozenset({"paid", "partially_paid", "partially_refunded", "refunded"})
#: Why an order of a customer without address is set aside.
_NO_ADDRESS: Final = (
    "the order names a customer and neither address nor telephone: give the app access to protected customer data "
    "(email, name, phone), then import the orders of the meantime"
)
_CENT: Final = Decimal("0.01")


def read_order(order: Document, shop: Shop, *, is_update: bool) -> Statement | None:
    """Return what an order says; None without a number."""
    number = order.text("id")
    if not number:
        return None
    thing, at = shop.thing("order", number), clock(order, "updated_at", "created_at") or shop.triggered_at
    if flag(order, "test") and not shop.options.tests:
        return Statement(links=(Link(thing, at, muted=True),), ignored="test")
    customer = order.within("customer")
    identities = shop.person(order, customer)
    account = shop.thing("customer", customer.text("id")) if customer.text("id") else ""
    if not identities and not account:
        # A sale at the till.
        return Statement(links=(Link(thing, at, anonymous=True),), ignored="anonymous")
    links = (Link(thing, at, identities),) if identities else ()
    states = _Order(order, shop, thing, identities, account)
    return Statement(links=links, says=tuple(states.events(is_update=is_update)))


def read_order_deleted(order: Document, shop: Shop) -> Statement | None:
    """Return what a deleted order says, of which only the number is told: it is taken back if it counted."""
    number = order.text("id")
    if not number:
        return None
    return Statement(says=(deleted_order(number, shop.thing("order", number), at=shop.triggered_at),))


class _Order:
    """The states of one order."""

    def __init__(
        self, order: Document, shop: Shop, thing: str, identities: tuple[Identity, ...], account: str
    ) -> None:
        self._order, self._shop, self._thing = order, shop, thing
        self._number = order.text("id")
        customer, addresses = order.within("customer"), ("billing_address", "shipping_address")
        self._common: dict[str, Any] = {
            "traits": traits_of(customer, *(order.within(name) for name in addresses)),
            "context": filled(locale=order.text("customer_locale")),
            "identities": identities,
            "of": () if identities else (account,),
            "needs": "" if identities else _NO_ADDRESS,
        }

    def events(self, *, is_update: bool) -> list[ShopEvent]:
        """Return the states that the order has reached, in their order."""
        order = self._order
        is_paid = order.text("financial_status").lower() in _PAID
        cancelled_at = clock(order, "cancelled_at")
        found = [self._paid()] if is_paid else self._placed()
        found += refund_events(order, self._shop, of=self._thing)
        if is_paid and is_update and cancelled_at is None and (change := self._change()) is not None:
            found.append(change)
        if cancelled_at is not None:
            found.append(
                self._event(
                    "cancelled", "Order Cancelled", cancelled_at, cancel_reason=order.text("cancel_reason")
                )
            )
        return found

    def _event(self, state: str, name: str, at: Instant, **properties: Any) -> ShopEvent:
        named = filled(order_id=self._number, **properties)
        return ShopEvent(self._thing, state, name, at, properties=named, **self._common)

    def _placed(self) -> list[ShopEvent]:
        """Return what an unpaid order says: the person, and that the cart is no longer waiting for them."""
        if not self._common["identities"]:
            return []
        at = clock(self._order, "processed_at", "created_at") or self._shop.triggered_at
        found = [ShopEvent(self._thing, "placed", "Identified", at, kind="identify", **self._common)]
        if cart := self._order.text("cart_token"):
            found.append(self._event("cart", "Cart Emptied", at, cart_id=cart))
        return found

    def _paid(self) -> ShopEvent:
        order = self._order
        at = clock(order, "processed_at", "created_at") or self._shop.triggered_at
        lines = list(order.all("line_items"))
        subtotal, total = money(order, "subtotal_price"), money(order, "total_price")
        shipping = order.within("total_shipping_price_set").within("shop_money")
        codes = [code.text("code") for code in order.all("discount_codes")]
        return self._event(
            "paid",
            "Order Completed",
            at,
            order_number=order.text("name"),
            affiliation=self._shop.domain,
            total=plain(total),
            subtotal=plain(subtotal),
            revenue=plain(subtotal - _tax_within(order, lines)),
            shipping=plain(money(shipping, "amount")),
            tax=plain(money(order, "total_tax")),
            discount=plain(money(order, "total_discounts")),
            coupon=", ".join(code for code in codes if code),
            currency=order.text("currency").upper(),
            cart_id=order.text("cart_token"),
            checkout_id=order.text("checkout_token"),
            products=[_line(line) for line in lines[:LINES_MAX]],
        )

    def _change(self) -> ShopEvent | None:
        """Return the change of an edited order: a new amount that no refund explains."""
        order = self._order
        if not order.text("current_total_price"):
            return None
        total, present = money(order, "total_price"), money(order, "current_total_price")
        refunded = sum((_refunded(refund) for refund in order.all("refunds")), Decimal(0))
        lines = list(order.all("line_items"))
        reduced = total - present - refunded
        if reduced <= _CENT * max(len(lines), 1):
            return None
        revenue = money(order, "subtotal_price") - _tax_within(order, lines)
        kept = (revenue * (total - reduced) / total).quantize(_CENT) if total else Decimal(0)
        at = clock(order, "updated_at") or self._shop.triggered_at
        products = [_line(line, "current_quantity") for line in lines if whole(line, "current_quantity")]
        return self._event(
            f"edited {total - reduced}",
            "Order Updated",
            at,
            total=plain(total - reduced),
            revenue=plain(kept),
            currency=order.text("currency").upper(),
            products=products[:LINES_MAX],
        )


def _refunded(refund: Document) -> Decimal:
    return sum(
        (money(line, "subtotal") + money(line, "total_tax") for line in refund.all("refund_line_items")),
        Decimal(0),
    )


def _tax_within(order: Document, lines: list[Document]) -> Decimal:
    """Return the tax of the goods that stands in the subtotal."""
    if not flag(order, "taxes_included"):
        return Decimal(0)
    return sum((money(tax, "price") for line in lines for tax in line.all("tax_lines")), Decimal(0))


def _line(line: Document, quantity: str = "quantity") -> dict[str, Any]:
    return filled(
        product_id=line.text("product_id", "sku", "variant_id", "title"),
        variant_id=line.text("variant_id"),
        sku=line.text("sku"),
        name=line.text("title", "name"),
        variant=line.text("variant_title"),
        brand=line.text("vendor"),
        price=plain(money(line, "price")),
        quantity=whole(line, quantity),
    )


# ---- checkouts -------------------------------------------------------------------------------------------


def read_cart(checkout: Document, shop: Shop) -> Statement | None:
    """Return what a checkout says: begun, its goods, completed; nothing before somebody is known."""
    token = checkout.text("token")
    if not token:
        return None
    customer = checkout.within("customer")
    identities = shop.person(checkout, customer)
    if not identities:
        return Statement(ignored="anonymous")
    thing, cart = shop.thing("checkout", token), checkout.text("cart_token") or token
    changed_at = clock(checkout, "updated_at", "created_at") or shop.triggered_at
    common: dict[str, Any] = {
        "traits": traits_of(
            customer, checkout.within("billing_address"), checkout.within("shipping_address")
        ),
        "context": filled(locale=checkout.text("customer_locale")),
        "identities": identities,
    }
    keys = {"checkout_id": token, "cart_id": cart}
    completed_at = clock(checkout, "completed_at")
    if completed_at is not None:
        done = ShopEvent(thing, "completed", "Cart Emptied", completed_at, properties=keys, **common)
        return Statement(says=(done,))
    currency = checkout.text("currency").upper()
    lines = {
        line["product_id"]: line
        for line in map(_line, list(checkout.all("line_items"))[:LINES_MAX])
        if "product_id" in line
    }
    opened = ShopEvent(
        thing,
        "started",
        "Checkout Started",
        clock(checkout, "created_at") or changed_at,
        properties=filled(
            **keys,
            url=checkout.text("abandoned_checkout_url"),
            total=plain(money(checkout, "total_price")),
            currency=currency,
            products=list(lines.values()),
        ),
        after="",
        **common,
    )
    contents = ShopEvent(thing, "", "", changed_at, properties=filled(**keys, currency=currency), **common)
    says: tuple[ShopEvent | Update, ...] = (CartContents(contents, lines), opened)
    return Statement(says=says)
