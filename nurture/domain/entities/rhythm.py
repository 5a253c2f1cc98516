"""Rhythms: by when a person has been silent for a while, measured by their own usual interval.

A single interval says little, so it is drawn toward the usual one, which weighs like several of the person's own.
"""

from collections.abc import Callable, Collection

from nurture.domain.contact import Contact
from nurture.domain.entities.net_facts import is_standing
from nurture.domain.entities.usual_interval import text_of_entity, usual_interval
from nurture.domain.event_index import Index, usual_fold
from nurture.domain.instant import NEVER, Duration, Instant
from nurture.domain.memory import Entity
from nurture.domain.playbook import Playbook, RhythmFact


def settle_rhythms(contact: Contact, kinds: Collection[str], index: Index, playbook: Playbook) -> None:
    """Work out the rhythms over entities of these kinds anew; unknown without an entity that counts.

    The usual interval is the one that was known when the last entity counted: a later publication moves nothing.
    """
    net = contact.memory.net
    for fact in index.rhythms:
        if not any(match.kind in kinds for match in fact.over):
            continue
        count = net.get(f"@count:{fact.name}", 0)
        if not count:
            contact.facts.pop(fact.name, None)
            continue
        first, last = (net.get(f"@{end}:{fact.name}", NEVER) for end in ("first", "last"))
        text_of = _texts_of(fact, _last_entity(contact, fact))
        usual = usual_interval(fact.usual, text_of, last, playbook.published)
        interval = own_interval(first, last, count, usual=usual, weight=fact.weight)
        contact.facts[fact.name] = last + fact.times * interval


def own_interval(first: Instant, last: Instant, count: int, *, usual: Duration, weight: int) -> Duration:
    """Return the interval between entities of a person, drawn toward `usual`, which weighs like `weight` intervals."""
    return (weight * usual + last - first) // (weight + count - 1)


def _last_entity(contact: Contact, fact: RhythmFact) -> Entity | None:
    """Return the entity that counted last, of one instant that with the greater key; None where none is looked up."""
    if isinstance(fact.usual, int):
        return None
    memory = contact.memory
    standing = [
        (entity.counted_at, key, entity)
        for match in fact.over
        for known in (memory.entities, memory.buried)
        for key, entity in known.get(match.kind, {}).items()
        if is_standing(entity)
    ]
    return max(standing, key=lambda row: row[:2], default=(None, "", None))[2]


def _texts_of(fact: RhythmFact, entity: Entity | None) -> Callable[[str], str | None]:
    """Return a function from a property to its text in the entity, also in one that was dropped."""

    def text_of(name: str) -> str | None:
        if entity is None:
            return None
        if entity.shares is None:
            return text_of_entity(name, entity)
        kept = entity.shares.get(usual_fold(fact, name), ())
        return max(kept)[1] if kept else None

    return text_of
