"""Shopify's fulfillments (parcels), refunds and disputes. A refund names nobody: its person is the order's."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from nurture.inbound.providers.call import Document
from nurture.inbound.shops.shopify_shop import Shop
from nurture.inbound.shops.statement import ShopEvent, Statement
from nurture.inbound.shops.values import LINES_MAX, clock, filled, flag, money, people, plain, whole

_SENT: Final = "success"
_LOST: Final = frozenset({"lost", "accepted"})
_CENT: Final = Decimal("0.01")


def read_fulfillment(parcel: Document, shop: Shop) -> Statement | None:
    """Return what a parcel says: sent, delivered; nothing when it was cancelled."""
    number, order = parcel.text("id"), parcel.text("order_id")
    if not number or not order:
        return None
    if parcel.text("status").lower() != _SENT:
        return Statement(ignored="ignored")
    order_thing = shop.thing("order", order)
    properties = filled(
        order_id=order,
        shipment_id=number,
        carrier=parcel.text("tracking_company"),
        tracking_number=parcel.text("tracking_number") or next(iter(parcel.texts("tracking_numbers")), ""),
        tracking_url=parcel.text("tracking_url") or next(iter(parcel.texts("tracking_urls")), ""),
        products=_parcel_lines(parcel),
    )
    is_delivered = parcel.text("shipment_status").lower() == "delivered"
    times = ("updated_at", "created_at") if is_delivered else ("created_at", "updated_at")
    state, name = ("delivered", "Order Delivered") if is_delivered else ("sent", "Order Shipped")
    sent = ShopEvent(
        shop.thing("shipment", number),
        state,
        name,
        clock(parcel, *times) or shop.triggered_at,
        properties=properties,
        identities=people(emails=[parcel.text("email")]),
        of=(order_thing,),
    )
    return Statement(says=(sent,))


def read_fulfillment_event(event: Document, shop: Shop) -> Statement | None:
    """Return what a parcel's event says: delivered; the others say nothing."""
    number, order = event.text("fulfillment_id"), event.text("order_id")
    if not number or not order:
        return None
    if event.text("status").lower() != "delivered":
        return Statement(ignored="ignored")
    delivered = ShopEvent(
        shop.thing("shipment", number),
        "delivered",
        "Order Delivered",
        clock(event, "happened_at", "created_at") or shop.triggered_at,
        properties={"order_id": order, "shipment_id": number},
        of=(shop.thing("order", order),),
    )
    return Statement(says=(delivered,))


def read_refund(refund: Document, shop: Shop) -> Statement | None:
    """Return what a refund says."""
    order = refund.text("order_id")
    if not order or not refund.text("id"):
        return None
    event = _refund_event(refund, shop, of=shop.thing("order", order), order=order)
    return Statement(says=(event,)) if event is not None else Statement(ignored="ignored")


def refund_events(order: Document, shop: Shop, *, of: str) -> list[ShopEvent]:
    """Return the refunds that stand inside an order."""
    found = (
        _refund_event(refund, shop, of=of, order=order.text("id"))
        for refund in order.all("refunds")
        if refund.text("id")
    )
    return [event for event in found if event is not None]


def _refund_event(refund: Document, shop: Shop, *, of: str, order: str) -> ShopEvent | None:
    """Return the event of a refund; None while no money went back, and for a test."""
    payments = [payment for payment in refund.all("transactions") if payment.text("kind") == "refund"]
    if payments and all(flag(payment, "test") for payment in payments) and not shop.options.tests:
        return None
    paid = [payment for payment in payments if payment.text("status") == "success"]
    if payments and not paid:
        return None
    total = sum((money(payment, "amount") for payment in paid), Decimal(0))
    total, currency = _shop_money(refund, total, next((payment.text("currency") for payment in paid), ""))
    number = refund.text("id")
    lines = [_refund_line(line) for line in list(refund.all("refund_line_items"))[:LINES_MAX]]
    return ShopEvent(
        of,
        f"refund {number}",
        "Order Refunded",
        clock(refund, "processed_at", "created_at") or shop.triggered_at,
        properties=filled(
            order_id=order,
            refund_id=number,
            total=plain(total),
            currency=currency.upper(),
            products=[line for line in lines if line],
        ),
        of=(of,),
    )


def _shop_money(refund: Document, total: Decimal, currency: str) -> tuple[Decimal, str]:
    """Return an amount in the shop's currency, which is the order's.

    Payments are in the customer's currency; the goods and shipping sent back state both.
    """
    sets = [line.within("subtotal_set") for line in refund.all("refund_line_items")]
    sets += [line.within("amount_set") for line in refund.all("order_adjustments")]
    for amounts in sets:
        own, paid = amounts.within("shop_money"), amounts.within("presentment_money")
        is_paid = paid.text("currency_code") == currency != own.text("currency_code")
        if is_paid and money(own, "amount") and money(paid, "amount"):
            rate = money(own, "amount") / money(paid, "amount")
            return (total * rate).quantize(_CENT), own.text("currency_code")
    return total, currency


def read_dispute(dispute: Document, shop: Shop) -> Statement | None:
    """Return what a dispute says: the money of a lost or accepted chargeback is gone."""
    number, order = dispute.text("id"), dispute.text("order_id")
    if not number:
        return None
    is_lost = dispute.text("status").lower() in _LOST and dispute.text("type").lower() == "chargeback"
    if not order or not is_lost:
        return Statement(ignored="ignored")
    thing = shop.thing("order", order)
    lost = ShopEvent(
        thing,
        f"dispute {number} lost",
        "Order Refunded",
        clock(dispute, "finalized_on") or shop.triggered_at,
        properties=filled(
            order_id=order,
            refund_id=f"dispute {number}",
            total=plain(money(dispute, "amount")),
            currency=dispute.text("currency").upper(),
        ),
        of=(thing,),
    )
    return Statement(says=(lost,))


def _refund_line(line: Document) -> dict[str, Any]:
    goods = line.within("line_item")
    return filled(
        product_id=goods.text("product_id", "sku"),
        sku=goods.text("sku"),
        name=goods.text("title", "name"),
        price=plain(money(goods, "price")),
        quantity=whole(line, "quantity"),
    )


def _parcel_lines(parcel: Document) -> list[Mapping[str, Any]]:
    return [
        filled(
            product_id=line.text("product_id", "sku"),
            sku=line.text("sku"),
            name=line.text("title", "name"),
            quantity=whole(line, "quantity"),
        )
        for line in list(parcel.all("line_items"))[:LINES_MAX]
    ]
