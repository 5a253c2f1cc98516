"""Shopify's customers and their marketing consent.

Since API 2025-01 a customer carries no consent; it comes by a topic of its own, under either of two names.
"""

from nurture.inbound.providers.call import Document
from nurture.inbound.shops.consent import consent_events
from nurture.inbound.shops.shopify_shop import Shop, traits_of
from nurture.inbound.shops.statement import Link, Profile, ShopEvent, Statement, Update
from nurture.inbound.shops.values import clock, people

_GID = "gid://shopify/Customer/"


def read_customer(customer: Document, shop: Shop) -> Statement | None:
    """Return what a customer says: who they are; by old API versions also their consent."""
    number = customer.text("id")
    if not number:
        return None
    identities = people(
        user_id=shop.user_id(number), emails=[customer.text("email")], phones=[customer.text("phone")]
    )
    if not identities:
        return Statement(ignored="anonymous")
    thing, at = (
        shop.thing("customer", number),
        clock(customer, "updated_at", "created_at") or shop.triggered_at,
    )
    profile = ShopEvent(
        thing, "", "Identified", at, kind="identify", traits=traits_of(customer), identities=identities
    )
    says: list[ShopEvent | Update] = [Profile(profile)]
    says += _consent(customer, shop, profile)
    return Statement(links=(Link(thing, at, identities),), says=tuple(says))


def read_consent(change: Document, shop: Shop) -> Statement | None:
    """Return what a change of consent says."""
    number = change.text("customer_id")
    if not number:
        return None
    thing = shop.thing("customer", number)
    person = ShopEvent(
        thing,
        "",
        "",
        shop.triggered_at,
        identities=people(user_id=shop.user_id(number), emails=[change.text("email_address")]),
        of=(thing,),
    )
    events = _consent(change, shop, person)
    return Statement(says=tuple(events)) if events else Statement(ignored="ignored")


def read_merge(merge: Document, shop: Shop) -> Statement | None:
    """Return what a merge of two customers says: the old number was an earlier name of the person, as a hint."""
    kept = merge.text("admin_graphql_api_customer_kept_id").removeprefix(_GID)
    gone = merge.text("admin_graphql_api_customer_deleted_id").removeprefix(_GID)
    if not kept or not gone:
        return None
    if not shop.options.user_ids or merge.text("status").lower() != "completed":
        return Statement(ignored="ignored")
    alias = ShopEvent(
        shop.thing("customer", kept),
        f"merged {gone}",
        "Aliased",
        shop.triggered_at,
        kind="alias",
        identities=people(user_id=kept),
        previous_id=gone,
    )
    return Statement(says=(alias,))


def _consent(document: Document, shop: Shop, person: ShopEvent) -> list[ShopEvent]:
    consent = document.within("email_marketing_consent")
    if not consent.value:
        return []
    return consent_events(
        person,
        state=consent.text("state").lower(),
        is_confirmed=consent.text("opt_in_level").lower() == "confirmed_opt_in",
        at=clock(consent, "consent_updated_at") or shop.triggered_at,
        options=shop.options,
    )
