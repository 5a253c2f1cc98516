"""Filtering events: the test whether an event is one of those that a rule names."""

from nurture.domain.conditions import Reading, Truth
from nurture.domain.event import Event
from nurture.domain.playbook import EventMatch, Playbook
from nurture.domain.values import coerced


def holds_for(match: EventMatch, event: Event, playbook: Playbook) -> bool:
    """Tell whether the event is one that `match` means; an unknown `where` is no."""
    if match.where is None:
        return True
    terms = playbook.properties.terms
    facts = coerced(event.properties, {name: terms[name] for name in match.where.terms if name in terms})
    given = Reading(facts=facts, now=event.occurred_at, zone=playbook.default_zone)
    return match.where.truth(given) is Truth.YES
