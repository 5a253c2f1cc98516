"""Settling: what follows from the marks of entities once an event has changed them.

Closed, reversed and empty entities, what is dropped beyond `keep`, the scalars that conditions read, and the facts over
entities. All of it is worked out anew from the marks, so it does not depend on the order in which they came.
"""

from collections.abc import Collection
from typing import Final

from nurture.domain.contact import Contact
from nurture.domain.entities.cancellations import standing_cancellation
from nurture.domain.entities.doubts import note_doubts
from nurture.domain.entities.dropped import drop_oldest, seen_at
from nurture.domain.entities.lines import bought_lines, settle_lines
from nurture.domain.entities.net_facts import settle_net_facts
from nurture.domain.entities.reading import entity_of, is_open
from nurture.domain.entities.refunds import refunded_in_full_at
from nurture.domain.entities.rhythm import settle_rhythms
from nurture.domain.entities.supplies import settle_supplies
from nurture.domain.event_index import Index
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import Closings, Entity
from nurture.domain.playbook import EntityKind, Playbook

_NO_CLOSINGS: Final = Closings()


def settle_kinds(
    contact: Contact,
    updated: Collection[str],
    playbook: Playbook,
    index: Index,
    *,
    closed: Collection[str] = (),
) -> None:
    """Settle the entities of these kinds and of all that depend on them, then the facts over those that changed.

    updated: kinds whose entities were opened, updated or reversed. closed: kinds of which an event closed some.
    """
    wanted, known, facts = {*updated, *closed}, contact.memory.entities, contact.facts
    changed = set(updated)
    for kind in index.kinds:
        if kind.name in wanted:
            dependents = index.dependents.get(kind.name, ())
            wanted |= {name for name in dependents if name in known or playbook.entities[name].lines_of}
            # Without this fact no fact over the kind was ever worked out.
            if settle_entities(contact, kind, playbook) or f"{kind.name}.ever" not in facts:
                changed.add(kind.name)
    if not changed:
        return
    settle_net_facts(contact, changed, playbook, index)
    note_doubts(contact, changed, playbook, index)
    if index.rhythms:
        settle_rhythms(contact, changed, index, playbook)


def settle_entities(contact: Contact, kind: EntityKind, playbook: Playbook) -> bool:
    """Work out what is closed, reversed and in the lists, drop the oldest beyond `keep`, and publish the scalars.

    Returns whether a fact over the kind's entities may have changed by it: their lines or their reversals did.
    """
    has_changed = False
    if kind.lines_of:
        settle_supplies(contact, kind, playbook)
        has_changed = True
    known = contact.memory.entities.get(kind.name, {})
    closings = contact.memory.closings.get(kind.name, _NO_CLOSINGS)
    rule = kind.lines
    bought = bought_lines(contact.memory, kind) if rule is not None and rule.removed_by_kinds else {}
    for key, entity in known.items():
        entity.closed_at = _closed_at(key, entity, closings)
        if rule is not None and entity.lines:
            has_changed |= settle_lines(entity, rule, closings, bought)
        if entity.refunds or entity.cancelled_at is not None or kind.within:
            reversed_at = _reversed_at(contact, entity, kind, playbook)
            has_changed |= reversed_at != entity.reversed_at
            entity.reversed_at = reversed_at
    if kind.within:
        has_changed |= _mark_replaced(known)
    newest = max((entity.touched_at for entity in known.values()), default=NEVER)
    if len(known) > 1 and not kind.lines_of:
        for entity in known.values():
            entity.resting = newest - seen_at(entity) > kind.remember
        has_changed |= drop_oldest(contact.memory, kind, playbook)
    contact.facts[f"{kind.name}.open"] = sum([is_open(entity, kind) for entity in known.values()])
    name = f"{kind.name}.last_at"
    if newest > NEVER:
        # Entities of lines go with the entity that has the lines.
        contact.facts[name] = newest if kind.lines_of else max(contact.facts.get(name, newest), newest)
    elif kind.lines_of:
        contact.facts.pop(name, None)
    return has_changed


def _closed_at(key: str, entity: Entity, closings: Closings) -> Instant | None:
    if key in closings.by_key:
        return closings.by_key[key]
    at = max(closings.all_at, closings.by_parent.get(entity.parent, NEVER) if entity.parent else NEVER)
    return at if at > NEVER and at >= entity.touched_at else None


def _reversed_at(contact: Contact, entity: Entity, kind: EntityKind, playbook: Playbook) -> Instant | None:
    """Return since when an entity is reversed: cancelled, refunded up to its total, or its parent is."""
    cancelled_at = standing_cancellation(entity)
    instants = [] if cancelled_at is None else [cancelled_at]
    if entity.refunds and (refunded_at := refunded_in_full_at(entity, kind, playbook)) is not None:
        instants.append(refunded_at)
    if kind.within and entity.parent:
        parent = entity_of(contact, kind.within, entity.parent)
        if parent is not None and parent.reversed_at is not None:
            instants.append(parent.reversed_at)
    return min(instants, default=None)


def _mark_replaced(known: dict[str, Entity]) -> bool:
    """Mark the parts that have only their parent's key where another part has one of its own; tell of any change."""
    has_changed = False
    parents = {entity.parent for key, entity in known.items() if entity.parent and key != entity.parent}
    for key, entity in known.items():
        is_replaced = key == entity.parent and key in parents
        has_changed |= is_replaced != entity.replaced
        entity.replaced = is_replaced
    return has_changed
