"""Events: what leads and customers did, and the identities they did it under."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from nurture.domain.instant import Instant

IdentityKind = Literal["user_id", "email", "phone", "anonymous_id"]
EventKind = Literal["track", "identify", "page", "screen", "group", "alias", "object", "ops", "timer"]

#: Strongest first: the order in which an event is routed and a survivor chosen.
IDENTITY_KINDS: tuple[IdentityKind, ...] = ("user_id", "email", "phone", "anonymous_id")

#: The source of events that a colleague of the same account told first: they fold into what the account shares alone.
BY_COLLEAGUE: Final = "account"
#: The source of what people do on our own public pages; no application may speak as it.
OWN_PAGES: Final = "web"
#: The source of requests from the page on which anybody may ask for a topic. No API key can have this name.
JOIN_PAGE: Final = "web:join"
#: The source of events from files.
IMPORTED: Final = "import"
#: The source of what an operator tells by hand.
OPERATOR: Final = "cli"
#: The source of what a command of ours does for people: a consent that they told an operator, a send.
BY_COMMAND: Final = "ops"
#: The sources of events that come from the signed webhooks of shops.
SHOPS: Final = frozenset({"shopify", "woocommerce", "stripe"})

#: The source of events that measures hand in (`emit`, `end_topic`).
BY_MEASURE: Final = "measure"
#: The source and the name of the event that tells a person a number computed elsewhere (`nurture values publish`).
BY_MODEL: Final = "model"
VALUE_PUBLISHED: Final = "Value Published"
#: The key of an event's context under which it says how many events of measures led to it, with itself.
_DEPTH: Final = "emitted"

#: The event name that a call without a name of its own stands for.
KIND_NAMES: Mapping[str, str] = {
    "identify": "Identified",
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "group": "Grouped",
    "alias": "Aliased",
}


class Identity(NamedTuple):
    """One name under which a contact is known; `value` is canonical (see `domain.identity`)."""

    kind: IdentityKind
    value: str


@dataclass(slots=True)
class Event:
    """One thing that happened, as the inbox accepted it. Never changed: frozen, it would cost three times as much."""

    # Position in the order of application; 0 until a drain has given it one.
    seq: int
    # The source: a write key's name, `import`, `cli`, `ops`, `object`, `account`, `web`, `web:join`, `celery`.
    source: str
    # Unique within the source; the same id is the same event.
    message_id: str
    kind: EventKind
    # `Order Completed`; for calls without a name see KIND_NAMES.
    name: str
    # When it happened, corrected by the client's clock skew, never later than received_at.
    occurred_at: Instant
    # When the inbox took it; its effective time for the engine.
    received_at: Instant
    identities: tuple[Identity, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    # Traits of an identify or group call (or of `context.traits`).
    traits: Mapping[str, Any] = field(default_factory=dict)
    # locale, timezone, campaign ...: the call's context, as far as it is kept.
    context: Mapping[str, Any] = field(default_factory=dict)
    # True for imports that make facts and a baseline and never mail.
    historic: bool = False
    # True when a browser key tells it: anybody can, so it proves nothing.
    hint: bool = False


def depth_of(event: Event) -> int:
    """Return how many events of measures led to this one, with itself; 0 for an event of anybody else."""
    depth = event.context.get(_DEPTH) if event.source == BY_MEASURE else 0
    return depth if isinstance(depth, int) else 0


def depth_context(depth: int) -> dict[str, Any]:
    """Return the context of an event that a measure hands in."""
    return {_DEPTH: depth}
