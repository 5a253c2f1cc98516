"""Rhythms: by when a person has been silent for a while, measured by their own usual interval.

A single interval says little, so it is drawn toward the usual one, which weighs like several of the person's own.
"""

from collections.abc import Collection

from nurture.domain.contact import Contact
from nurture.domain.event_index import Index
from nurture.domain.instant import NEVER, Duration, Instant


def settle_rhythms(contact: Contact, kinds: Collection[str], index: Index) -> None:
    """Work out the rhythms over entities of these kinds anew; unknown without an entity that counts."""
    net = contact.memory.net
    for fact in index.rhythms:
        if not any(match.kind in kinds for match in fact.over):
            continue
        count = net.get(f"@count:{fact.name}", 0)
        if not count:
            contact.facts.pop(fact.name, None)
            continue
        first, last = (net.get(f"@{end}:{fact.name}", NEVER) for end in ("first", "last"))
        interval = own_interval(first, last, count, usual=fact.usual, weight=fact.weight)
        contact.facts[fact.name] = last + fact.times * interval


def own_interval(first: Instant, last: Instant, count: int, *, usual: Duration, weight: int) -> Duration:
    """Return the interval between entities of a person, drawn toward `usual`, which weighs like `weight` intervals."""
    return (weight * usual + last - first) // (weight + count - 1)
