"""The memory of a referral: by whose personal link a person came, and how an event says so.

An edge that reads an event with the property (or trait) `referral_code` checks the code's signature, and notes the
contact whose code it is in the event's context, which no client can write.
"""

from collections.abc import Mapping
from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.memory import Referral

#: The property, or trait, of an event that carries the code of a referral link.
CODE: Final = "referral_code"
#: The fact that conditions ask for: `known(referrer)`.
REFERRER: Final = "referrer"
_CONTEXT: Final = "referred_by"


def referral_context(contact: int) -> dict[str, Any]:
    """Return the context of an event that shows by whose link the person came."""
    return {_CONTEXT: contact}


def is_referral(context: Mapping[str, Any]) -> bool:
    """Tell whether an event of this context shows by whose link the person came."""
    return _CONTEXT in context


def fold_referral(contact: Contact, event: Event, *, is_taken: bool) -> None:
    """Remember by whose link the person came: the first word, and one of a server before that of a browser key.

    is_taken: the playbook has a fact of its own named `referrer`, which stays as it is.
    """
    referrer = event.context.get(_CONTEXT)
    # Nobody refers themselves.
    if type(referrer) is not int or referrer == contact.id:
        return
    referral = Referral(event.hint, event.occurred_at, event.source, event.message_id, referrer)
    known = contact.memory.referral
    if known is None or referral < known:
        _remember(contact, referral, is_taken=is_taken)


def combine_referrals(contact: Contact, added: Contact, *, is_taken: bool) -> None:
    """Remember the first of both; two people who referred each other become one whom nobody referred."""
    own = (contact.id, added.id)
    referrals = [
        part.memory.referral
        for part in (contact, added)
        if part.memory.referral is not None and part.memory.referral.contact not in own
    ]
    _remember(contact, min(referrals, default=None), is_taken=is_taken)


def _remember(contact: Contact, referral: Referral | None, *, is_taken: bool) -> None:
    contact.memory.referral = referral
    if is_taken:
        return
    contact.facts.pop(REFERRER, None)
    if referral is not None:
        contact.facts[REFERRER] = referral.contact
