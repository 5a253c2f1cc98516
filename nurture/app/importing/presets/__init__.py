"""Exports of other tools, each with the meaning of its columns (names and forms: docs/howto/import.md)."""

from collections.abc import Callable, Mapping
from typing import Final

from nurture.app.importing.options import ImportOptions, Kind
from nurture.app.importing.orders import OrderFormat
from nurture.app.importing.plan import Plan
from nurture.app.importing.presets import klaviyo, mailchimp, shopify_customers, shopify_orders, woocommerce
from nurture.inbound.files.table import Table

#: Preset -> a function that adds the meaning of the file's columns to a plan. Raises InputError.
PLANS: Final[Mapping[str, Callable[[Plan, Table, ImportOptions], Plan]]] = {
    "mailchimp": mailchimp.plan,
    "klaviyo": klaviyo.plan,
    "shopify-customers": shopify_customers.plan,
    "shopify-orders": shopify_orders.plan,
    "woocommerce-orders": woocommerce.plan,
}
KINDS: Final[Mapping[str, Kind]] = {
    "mailchimp": "contacts",
    "klaviyo": "contacts",
    "shopify-customers": "contacts",
    "shopify-orders": "events",
    "woocommerce-orders": "events",
}
#: Zone of times without one; other presets take the playbook's.
ZONES: Final = {"mailchimp": "UTC", "klaviyo": "UTC"}


def order_format(preset: str | None, table: Table) -> OrderFormat | None:
    """Return how a preset's file writes orders, None for a file of other rows."""
    if preset == "shopify-orders":
        return shopify_orders.ShopifyOrders(table)
    if preset == "woocommerce-orders":
        return woocommerce.order_format(table)
    return None
