"""The codes of referral links (`links.referral`, `/r/CODE`) in events: whose code it is, checked by its signature."""

from collections.abc import Sequence
from dataclasses import replace

from nurture.contacts.accept import NewEvent
from nurture.domain.referral import CODE, referral_context
from nurture.domain.signing import SigningKeys, verify_token


def name_referrers(keys: SigningKeys, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Return the events; one with a valid `referral_code` says in its context whose code that is.

    A code that is none of ours is a property like any other.
    """
    return [_name_referrer(keys, event) for event in events]


def _name_referrer(keys: SigningKeys, event: NewEvent) -> NewEvent:
    code = event.properties.get(CODE) or event.traits.get(CODE)
    payload = verify_token(keys, "referral", code) if isinstance(code, str) else None
    contact = payload.get("c") if payload else None
    if type(contact) is not int:
        return event
    return replace(event, context={**event.context, **referral_context(contact)})
