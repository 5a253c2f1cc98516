"""Shopify: what its webhooks say.

https://shopify.dev/docs/api/webhooks. A topic names what happened, the body is the thing as it is now; calls come in
any order, some twice. Times are the thing's own. Amounts are those of the shop's currency. An order's
`buyer_accepts_marketing` may have been ticked beforehand, so it is no consent; that comes with its own topic.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Literal

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Call, Document, iso_instant, parse_json
from nurture.inbound.shops.shopify_customers import read_consent, read_customer, read_merge
from nurture.inbound.shops.shopify_orders import read_cart, read_order, read_order_deleted
from nurture.inbound.shops.shopify_parcels import (
    read_dispute,
    read_fulfillment,
    read_fulfillment_event,
    read_refund,
)
from nurture.inbound.shops.shopify_shop import Shop
from nurture.inbound.shops.statement import LegalRequest, ShopOptions, Statement
from nurture.inbound.shops.values import people

_Read = Callable[[Document, Shop], Statement | None]

_TOPICS: Final[Mapping[str, _Read]] = {
    "orders/delete": read_order_deleted,
    "refunds/create": read_refund,
    "disputes/create": read_dispute,
    "disputes/update": read_dispute,
    "fulfillments/create": read_fulfillment,
    "fulfillments/update": read_fulfillment,
    "fulfillment_events/create": read_fulfillment_event,
    "checkouts/create": read_cart,
    "checkouts/update": read_cart,
    "customers/create": read_customer,
    "customers/update": read_customer,
    "customers/enable": read_customer,
    "customers/disable": read_customer,
    "customers_email_marketing_consent/update": read_consent,
    "customers/email_marketing_consent_update": read_consent,
    "customers/merge": read_merge,
}
#: Topics that carry a whole order.
_ORDERS: Final = frozenset(
    f"orders/{state}"
    for state in ("create", "paid", "updated", "cancelled", "fulfilled", "partially_fulfilled")
)


def read(call: Call, *, now: Instant, options: ShopOptions) -> Statement | None:
    """Return what the call says; None when it cannot be read."""
    value = parse_json(call.body)
    if not isinstance(value, dict):
        return None
    topic = _header(call, "topic").strip().lower()
    body = Document(value)
    domain = _header(call, "shop-domain").strip().lower()
    triggered_at = min(iso_instant(_header(call, "triggered-at"), otherwise=now), now)
    shop = Shop(domain, now, triggered_at, options)
    if topic in _LEGAL:
        return _LEGAL[topic](body, shop, call)
    if topic in _ORDERS:
        return read_order(body, shop, is_update=topic == "orders/updated")
    reader = _TOPICS.get(topic)
    if reader is None:
        # The goods of a cart name nobody.
        return Statement(ignored="anonymous" if topic.startswith("carts/") else "ignored")
    return reader(body, shop)


def _header(call: Call, name: str) -> str:
    return call.header(f"x-shopify-{name}") or call.header(f"shopify-{name}")


def _read_data_request(body: Document, shop: Shop, call: Call) -> Statement:
    number = body.within("data_request").text("id")
    return Statement(request=_request("data_request", body, shop, key=number or _digest(call)))


def _read_redact(body: Document, shop: Shop, call: Call) -> Statement:
    return Statement(request=_request("redact", body, shop, key=_digest(call)))


def _read_shop_redact(body: Document, shop: Shop, call: Call) -> Statement:
    return Statement(request=_request("shop_redact", body, shop, key=_digest(call)))


_LEGAL: Final[Mapping[str, Callable[[Document, Shop, Call], Statement]]] = {
    "customers/data_request": _read_data_request,
    "customers/redact": _read_redact,
    "shop/redact": _read_shop_redact,
}


def _digest(call: Call) -> str:
    """Return what makes the same request the same: it has no number of its own."""
    return hashlib.sha256(call.body).hexdigest()[:32]


def _request(
    act: Literal["data_request", "redact", "shop_redact"], body: Document, shop: Shop, *, key: str
) -> LegalRequest:
    customer = body.within("customer")
    number = customer.text("id")
    return LegalRequest(
        act,
        shop.domain or body.text("shop_domain"),
        key,
        identities=people(
            user_id=shop.user_id(number), emails=[customer.text("email")], phones=[customer.text("phone")]
        ),
        customer=shop.thing("customer", number) if number else "",
    )
