"""Marketing consent as shops tell it, as events of a topic.

A confirmed opt-in is a confirmation of the topic. A single opt-in is a grant, which a topic with double opt-in takes
as pending, unless the operator decided otherwise. A withdrawal is about everything: the shop knows one consent only.
"""

from dataclasses import replace
from typing import Final

from nurture.domain.consent.permissions import EVERYTHING
from nurture.domain.instant import Instant, to_iso
from nurture.inbound.shops.statement import ShopEvent, ShopOptions

_NO_TOPIC: Final = (
    "the playbook has no topic for the shop's marketing consent: add one, or name one of its topics in "
    "NURTURE_SHOP_TOPICS"
)


def consent_events(
    person: ShopEvent, *, state: str, is_confirmed: bool, at: Instant, options: ShopOptions
) -> list[ShopEvent]:
    """Return the event of a consent; none for a state that says nothing (never asked, invalid, erased).

    person: an event with the customer's thing and identities. state: subscribed | unsubscribed | pending ...
    """
    properties: dict[str, object] = {"topic": options.topic}
    if state == "unsubscribed":
        name, properties = "Consent Withdrawn", {"topic": EVERYTHING}
    elif state == "pending":
        name = "Consent Requested"
    elif state != "subscribed":
        return []
    elif is_confirmed:
        name = "Topic Confirmed"
    else:
        name = "Consent Given"
        properties |= {"opt_in": "single", **({"grants": True} if options.single_opt_in else {})}
    if not properties["topic"]:
        person = replace(person, identities=(), of=(), needs=_NO_TOPIC)
    return [
        replace(
            person,
            state=f"consent {state} {to_iso(at)}",
            name=name,
            at=at,
            kind="track",
            properties=properties,
            traits={},
        )
    ]
