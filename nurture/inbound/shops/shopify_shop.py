"""The shop that a call of Shopify comes from, and the person whom its documents name."""

from dataclasses import dataclass
from typing import Any

from nurture.domain.event import Identity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Document
from nurture.inbound.shops.statement import ShopOptions
from nurture.inbound.shops.values import filled, join_key, people


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop of a call, and when the call came."""

    domain: str
    now: Instant
    # When the shop noticed; a repeated call keeps it.
    triggered_at: Instant
    options: ShopOptions

    def thing(self, kind: str, number: str) -> str:
        """Return the key of a thing of this shop."""
        return join_key(self.domain, kind, number)

    def user_id(self, number: str) -> str:
        """Return the customer's number where it is the site's user id, else an empty text."""
        return number if self.options.user_ids else ""

    def person(self, document: Document, customer: Document) -> tuple[Identity, ...]:
        """Return whom an order or a checkout names.

        The address of the account comes before the one that was typed at the checkout, so a guest's typing does not
        move the mail of a known customer.
        """
        return people(
            user_id=self.user_id(customer.text("id")),
            emails=[customer.text("email"), document.text("email"), document.text("contact_email")],
            phones=[customer.text("phone"), document.text("phone")],
        )


def traits_of(customer: Document, *addresses: Document) -> dict[str, Any]:
    """Return the traits of a customer; names and country also from these addresses."""
    places = [customer.within("default_address"), *addresses]

    def first(name: str) -> str:
        return next((place.text(name) for place in places if place.text(name)), "")

    return filled(
        firstName=customer.text("first_name") or first("first_name"),
        lastName=customer.text("last_name") or first("last_name"),
        country=first("country_code"),
        shopify_customer_id=customer.text("id"),
    )
