"""Consent that events tell: which topic, and whether it is granted, asked for or withdrawn.

`Consent Given` and `Consent Withdrawn` carry the property `topic` (`*` for everything); `Unsubscribed` is a withdrawal
too. A topic with double opt-in counts from `Topic Confirmed` on, and so does every topic that a browser key grants. A
signed shop also tells that it awaits a confirmation (`Consent Requested`).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

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
_GRANTS: Final = frozenset({GIVEN, CONFIRMED})
_NAMES: Final = WITHDRAWN | _GRANTS | {ASKED}
#: Fact: topics that events grant and the playbook does not have. No condition reads it.
UNKNOWN_TOPICS: Final = "unknown_topics"
#: Listed for a grant that names no topic.
NO_TOPIC: Final = "(none)"
_LISTED_MAX: Final = 5
_TOPIC_MAX: Final = 40
_NO_CONSENT: Final = TopicConsent()


class ConsentStart(NamedTuple):
    """A topic whose consent counts from an event on."""

    topic: str
    # False: it has counted before and was withdrawn.
    is_first: bool


def topic_in(properties: Mapping[str, Any]) -> str:
    """Return the topic that these properties name, without the space around it and in small letters; "" for none."""
    topic = properties.get("topic")
    return topic.strip().casefold() if isinstance(topic, str) else ""


def read_consent(event: Event, playbook: Playbook) -> tuple[str, ConsentState] | None:
    """Return the topic and the state that an event tells; a withdrawal of an unknown topic covers everything."""
    known = playbook.topics.get(topic_in(event.properties))
    if event.name in WITHDRAWN:
        return (EVERYTHING if known is None else known.name), "withdrawn"
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
    if event.name not in _NAMES:
        return None
    consent = read_consent(event, playbook)
    if consent is None:
        if event.name in _GRANTS:
            _note_unknown(contact, topic_in(event.properties))
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


def _note_unknown(contact: Contact, topic: str) -> None:
    """Keep the name of a topic that the playbook does not have, for the doctor: nobody is asked and nothing granted."""
    names = {*contact.facts.get(UNKNOWN_TOPICS, ()), topic[:_TOPIC_MAX] or NO_TOPIC}
    contact.facts[UNKNOWN_TOPICS] = sorted(names)[:_LISTED_MAX]


def _counts(contact: Contact, topic: str) -> bool:
    """Tell whether the newest word about the topic, or about everything, is a grant; of one instant the stricter."""
    consents = contact.memory.consents
    of_topic, of_everything = (consents.get(name, _NO_CONSENT) for name in (topic, EVERYTHING))
    return of_topic.granted > max(of_topic.withdrawn, of_topic.asked, of_everything.withdrawn)


def combine_unknown_topics(contact: Contact, added: Contact) -> None:
    """Add the unknown topics that another part of the person's history names, in place."""
    names = {*contact.facts.get(UNKNOWN_TOPICS, ()), *added.facts.get(UNKNOWN_TOPICS, ())}
    if names:
        contact.facts[UNKNOWN_TOPICS] = sorted(names)[:_LISTED_MAX]


def combine_consents(kept: dict[str, TopicConsent], added: dict[str, TopicConsent]) -> None:
    """Add the consents that another part of the person's history tells, in place."""
    for topic, other in added.items():
        consent = kept.setdefault(topic, TopicConsent())
        consent.first = min((at for at in (consent.first, other.first) if at is not None), default=None)
        consent.granted = max(consent.granted, other.granted)
        consent.asked = max(consent.asked, other.asked)
        consent.withdrawn = max(consent.withdrawn, other.withdrawn)
