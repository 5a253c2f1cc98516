"""Consent that events tell: which topic, and whether it is granted, asked for or withdrawn.

`Consent Given` and `Consent Withdrawn` carry the property `topic` (`*` for everything); `Unsubscribed` is a withdrawal
too. A topic with double opt-in counts from `Topic Confirmed` on, and so does every topic that a browser key grants. A
signed shop also tells that it awaits a confirmation (`Consent Requested`).
"""

from typing import Final, NamedTuple

from nurture.domain.consent.permissions import EVERYTHING, ConsentState
from nurture.domain.contact import Contact
from nurture.domain.event import SHOPS, Event
from nurture.domain.instant import NEVER
from nurture.domain.memory import TopicConsent
from nurture.domain.playbook import Playbook

GIVEN: Final = "Consent Given"
CONFIRMED: Final = "Topic Confirmed"
#: A signed shop has asked the person to confirm.
ASKED: Final = "Consent Requested"
WITHDRAWN: Final = frozenset({"Consent Withdrawn", "Unsubscribed"})
_NAMES: Final = WITHDRAWN | {GIVEN, CONFIRMED, ASKED}
_NO_CONSENT: Final = TopicConsent()


class ConsentStart(NamedTuple):
    """A topic whose consent counts from an event on."""

    topic: str
    # False: it has counted before and was withdrawn.
    is_first: bool


def read_consent(event: Event, playbook: Playbook) -> tuple[str, ConsentState] | None:
    """Return the topic and the state that an event tells; a withdrawal of an unknown topic covers everything."""
    topic = event.properties.get("topic")
    known = playbook.topics.get(topic) if isinstance(topic, str) else None
    if event.name in WITHDRAWN:
        return (str(topic) if known is not None else EVERYTHING), "withdrawn"
    if known is None:
        return None
    if event.name == CONFIRMED:
        return known.name, "granted"
    if event.source in SHOPS and event.name == ASKED:
        return known.name, "pending"
    if event.name != GIVEN:
        return None
    if event.source in SHOPS and event.properties.get("grants") is True:
        # The operator decided that this shop's single opt-in suffices.
        return known.name, "granted"
    return known.name, "pending" if known.double_opt_in or event.hint else "granted"


def fold_consent(contact: Contact, event: Event, playbook: Playbook) -> ConsentStart | None:
    """Fold the consent that the event tells, and return the topic that begins to count by it."""
    consent = read_consent(event, playbook) if event.name in _NAMES else None
    if consent is None:
        return None
    topic, state = consent
    kept = contact.memory.consents.setdefault(topic, TopicConsent())
    if state == "withdrawn":
        kept.withdrawn = max(kept.withdrawn, event.occurred_at)
        return None
    if state == "pending":
        # A hint takes no grant back.
        kept.asked = max(kept.asked, NEVER if event.hint else event.occurred_at)
        return None
    is_first, counted = kept.first is None, _counts(contact, topic)
    kept.first = event.occurred_at if kept.first is None else min(kept.first, event.occurred_at)
    kept.granted = max(kept.granted, event.occurred_at)
    return ConsentStart(topic, is_first) if _counts(contact, topic) and not counted else None


def _counts(contact: Contact, topic: str) -> bool:
    """Tell whether the newest word about the topic, or about everything, is a grant; of one instant the stricter."""
    consents = contact.memory.consents
    of_topic, of_everything = (consents.get(name, _NO_CONSENT) for name in (topic, EVERYTHING))
    return of_topic.granted > max(of_topic.withdrawn, of_topic.asked, of_everything.withdrawn)


def combine_consents(kept: dict[str, TopicConsent], added: dict[str, TopicConsent]) -> None:
    """Add the consents that another part of the person's history tells, in place."""
    for topic, other in added.items():
        consent = kept.setdefault(topic, TopicConsent())
        consent.first = min((at for at in (consent.first, other.first) if at is not None), default=None)
        consent.granted = max(consent.granted, other.granted)
        consent.asked = max(consent.asked, other.asked)
        consent.withdrawn = max(consent.withdrawn, other.withdrawn)
