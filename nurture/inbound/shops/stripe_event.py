"""An event of Stripe: its object, its time, and the keys of the things it is about."""

from dataclasses import dataclass, replace
from typing import Any

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Document
from nurture.inbound.shops.statement import ShopEvent, ShopOptions
from nurture.inbound.shops.values import clock, join_key


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """One event as it came."""

    body: Document
    now: Instant
    options: ShopOptions

    @property
    def object(self) -> Document:
        """The thing as it was at the event's time."""
        return self.body.within("data").within("object")

    @property
    def before(self) -> Document:
        """The values that the event changed, as they were before."""
        return self.body.within("data").within("previous_attributes")

    @property
    def type(self) -> str:
        """The kind of event."""
        return self.body.text("type")

    @property
    def number(self) -> str:
        """The event's own id."""
        return self.body.text("id")

    @property
    def at(self) -> Instant:
        """When it happened."""
        return clock(self.body, "created") or self.now

    def thing(self, kind: str, number: str) -> str:
        """Return the key of a thing; of a connected account with its id."""
        return join_key(self.body.text("account"), kind, number)

    @staticmethod
    def with_person(person: ShopEvent, **changes: Any) -> ShopEvent:
        """Return an event about the same person."""
        return replace(person, **changes)
