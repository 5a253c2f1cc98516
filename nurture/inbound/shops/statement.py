"""The statement of one call of a shop: the events it tells, and what it says about the shop's things.

A *thing* is an order, a customer, a payment or the like; its key is `SHOP:KIND:ID`. An event is about one thing and
names the state that it tells (`paid`, `refund 7001`), so the same state told again is the same event, whatever
delivery brings it. `inbound.shops.fold` turns statements into events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nurture.domain.event import EventKind, Identity
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class ShopOptions:
    """The settings of one shop's webhooks."""

    # The shop's customer id is the userId of the site.
    user_ids: bool = False
    # Test orders count.
    tests: bool = False
    # The topic of the shop's marketing consent; "": the playbook has none.
    topic: str = ""
    # A single opt-in grants a topic with double opt-in.
    single_opt_in: bool = False


@dataclass(frozen=True, slots=True)
class ShopEvent:
    """An event that a call tells, once for each (thing, state)."""

    thing: str
    state: str
    name: str
    at: Instant
    kind: EventKind = "track"
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    identities: tuple[Identity, ...] = ()
    # Things whose person it is where the call names nobody, the likeliest first.
    of: tuple[str, ...] = ()
    # The thing (a payment) that knows the order; its number becomes the property `order_id`.
    order_of: str = ""
    # A state of the thing without which the event says nothing: it waits for that state.
    after: str = ""
    # Where nobody is known: quarantine it for this reason; "": it waits for the person.
    needs: str = ""
    # False: the thing does not remember the state; `events` alone recognises a repetition.
    remembered: bool = True
    # The id the person had before, of an alias; such an event is a hint.
    previous_id: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A thing's person, and the number of its order, as of an instant; the newest link counts."""

    thing: str
    at: Instant
    identities: tuple[Identity, ...] = ()
    order_id: str = ""
    # The thing is a test: events about it are left out for good.
    muted: bool = False
    # The call names nobody: events about the thing are left out until a call names its person.
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class RefundList:
    """All refunds of an order as of an instant; one that is missing in a newer list was taken back."""

    order: ShopEvent
    amounts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RefundProgress:
    """How much of a payment is refunded: a running sum, or one refund among others, in minor units.

    A refund may fail days after it succeeded; its money then comes back to the shop.
    """

    payment: ShopEvent
    currency: str
    running: int = 0
    refund: str = ""
    amount: int = 0
    # When it was made, where it failed.
    failed_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class CartContents:
    """The goods of a cart as of an instant: product -> the properties of its line."""

    cart: ShopEvent
    lines: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OrderStanding:
    """Whether an order is cancelled as of an instant; the newest word counts."""

    # Told where it changes: the cancellation, or that the order is restored.
    event: ShopEvent
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancellation of a subscription, told once until the subscription is resumed."""

    event: ShopEvent


@dataclass(frozen=True, slots=True)
class Resumption:
    """The person took the cancellation of a subscription back."""

    thing: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a customer; told when it differs from the one told last."""

    event: ShopEvent


Update = RefundList | RefundProgress | CartContents | OrderStanding | Cancellation | Resumption | Profile


@dataclass(frozen=True, slots=True)
class LegalRequest:
    """A request that the shop passes on by law: a person's data, their erasure, the end of the shop."""

    act: Literal["data_request", "redact", "shop_redact"]
    shop: str
    # The request's own number, or a digest of the call.
    key: str
    identities: tuple[Identity, ...] = ()
    # The customer in the shop.
    customer: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """All that one call says, in the order in which it counts."""

    links: tuple[Link, ...] = ()
    says: tuple[ShopEvent | Update, ...] = ()
    request: LegalRequest | None = None
    # Why the call says nothing: ignored | test | anonymous | thin; "" where it says something.
    ignored: str = ""


def deleted_order(number: str, thing: str, *, at: Instant) -> ShopEvent:
    """Return what the deletion of an order says, of which only the number is told: it is taken back if it counted."""
    return ShopEvent(
        thing,
        "cancelled",
        "Order Cancelled",
        at,
        properties={"order_id": number, "cancel_reason": "deleted"},
        of=(thing,),
        after="paid",
    )
