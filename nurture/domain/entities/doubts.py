"""Doubtful amounts of a contact, which `nurture doctor` lists: other currencies, and refunds that may be one.

They are kept among the facts, so that the doctor finds the people with one statement; no condition reads them.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Final

from nurture.domain.contact import Contact
from nurture.domain.entities.net_facts import currency_of, is_standing
from nurture.domain.entities.refunds import is_in_other_currency
from nurture.domain.event_index import Index
from nurture.domain.instant import DAY
from nurture.domain.memory import Entity
from nurture.domain.playbook import Playbook

#: Fact: currencies of amounts that the brand does not name, which are added to nothing.
OTHER_CURRENCIES: Final = "other_currencies"
#: Fact: keys of entities of which a refund names another currency; it gives nothing back.
OTHER_REFUNDS: Final = "refunds.other_currency"
#: Fact: keys of entities that two refunds without a key of their own gave the same amount back within a day.
EQUAL_REFUNDS: Final = "equal_refunds"
_LISTED_MAX: Final = 5


def note_doubts(contact: Contact, kinds: Collection[str], playbook: Playbook, index: Index) -> None:
    """Note the doubtful amounts again after entities of these kinds have changed."""
    if not any(name in kinds for name in index.kinds_with_amount):
        return
    currencies: set[str] = set()
    foreign: set[str] = set()
    equal: set[str] = set()
    for name in index.kinds_with_amount:
        for key, entity in _entities(contact, name):
            if entity.worth is not None and is_standing(entity) and currency_of(entity, playbook) is None:
                currencies.add(entity.worth.currency)
            if any(is_in_other_currency(entity, refund, playbook) for refund in entity.refunds.values()):
                foreign.add(key)
            if len(entity.refunds) > 1 and _has_equal_refunds(entity):
                equal.add(key)
    for fact, values in ((OTHER_CURRENCIES, currencies), (OTHER_REFUNDS, foreign), (EQUAL_REFUNDS, equal)):
        if values:
            contact.facts[fact] = sorted(values)[:_LISTED_MAX]
        else:
            contact.facts.pop(fact, None)


def _entities(contact: Contact, kind: str) -> Iterator[tuple[str, Entity]]:
    yield from contact.memory.entities.get(kind, {}).items()
    yield from contact.memory.buried.get(kind, {}).items()


def _has_equal_refunds(entity: Entity) -> bool:
    refunds = [
        refund for key, refund in entity.refunds.items() if key == refund.stamp[1] and not refund.cumulative
    ]
    refunds.sort(key=lambda refund: (refund.amount or 0, refund.stamp))
    return any(
        refund.amount == later.amount and later.stamp[0] - refund.stamp[0] < DAY
        for refund, later in pairwise(refunds)
    )
