"""Entities: carts, orders, cases and projects, folded out of the events that name them.

Each counts once for its key, however often it is told, and not at all once it is reversed. Its marks commute, so any
order of arrival gives the same entity. A closed one stays as a tombstone, so a late event cannot re-open it.
"""

from nurture.domain.entities.fold import fold_entities
from nurture.domain.entities.reading import (
    counted_at,
    entity_key,
    entity_of,
    is_closed,
    is_empty,
    is_open,
    is_outdated,
    is_reversed,
    line_keys,
    mark_of,
    sequence_of,
)
from nurture.domain.entities.refunds import net_amount
from nurture.domain.entities.settle import settle_entities

__all__ = [
    "counted_at",
    "entity_key",
    "entity_of",
    "fold_entities",
    "is_closed",
    "is_empty",
    "is_open",
    "is_outdated",
    "is_reversed",
    "line_keys",
    "mark_of",
    "net_amount",
    "sequence_of",
    "settle_entities",
]
