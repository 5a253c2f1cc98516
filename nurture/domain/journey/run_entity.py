"""The entity that a run is about: which one it is, whether it still stands, and which events are about it."""

from collections.abc import Collection
from typing import Literal

from nurture.domain.contact import Contact, Run
from nurture.domain.entities import entity_key, entity_of, is_open, is_outdated, is_reversed, line_keys
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.instant import Instant
from nurture.domain.journey.object_watches import object_keys
from nurture.domain.measure import Measure
from nurture.domain.memory import Entity
from nurture.domain.playbook import EntityKind, Playbook
from nurture.domain.values import key_text

EntityReason = Literal["entity_reversed", "entity_closed", "entity_restored"]


def entity_key_of(playbook: Playbook, measure: Measure, event: Event) -> str:
    """Return the key of the measure's entity that the event names, "" for none."""
    kind = playbook.entities.get(measure.entity or "")
    return (entity_key(event, kind) or "") if kind is not None else ""


def is_older_event(contact: Contact, playbook: Playbook, measure: Measure, event: Event) -> bool:
    """Tell whether a newer event of the same name about the measure's entity is known already."""
    kind = playbook.entities.get(measure.entity or "")
    return kind is not None and is_outdated(contact, event, kind)


def entity_reason(contact: Contact, playbook: Playbook, measure: Measure, run: Run) -> EntityReason | None:
    """Return why the run may not go on about its entity, None when it may.

    A reversed entity ends every run about it that no reversing event began; with `while: open` a closed, empty or
    unknown one does too.
    """
    if not run.entity:
        return None
    entity = entity_of(contact, run.entity, run.entity_key)
    return _reason(playbook, measure, run.entity, entity, begun_by=run.origin.event)


def entity_refusal(
    contact: Contact, playbook: Playbook, measure: Measure, key: str, *, event: str
) -> EntityReason | None:
    """Return why no run of the measure about the entity may begin, None when it may. event: what would begin it."""
    if not key or measure.entity is None:
        return None
    return _reason(playbook, measure, measure.entity, entity_of(contact, measure.entity, key), begun_by=event)


def _reason(
    playbook: Playbook, measure: Measure, kind_name: str, entity: Entity | None, *, begun_by: str
) -> EntityReason | None:
    reversing = index_of(playbook).reversing.get(kind_name, frozenset())
    if entity is not None and is_reversed(entity) and begun_by not in reversing:
        return "entity_reversed"
    kind = playbook.entities.get(kind_name)
    if measure.while_open and (kind is None or entity is None or not is_open(entity, kind)):
        return "entity_closed"
    return None


def full_reversals(kind: EntityKind) -> frozenset[str]:
    """Return the names of the events that reverse an entity of the kind in full, as a cancellation does."""
    return frozenset(name for rule in kind.reversed_by if rule.amount is None for name in rule.match.names)


def was_taken_back(
    contact: Contact, playbook: Playbook, measure: Measure, key: str, *, event: str, occurred_at: Instant
) -> bool:
    """Tell whether the event is a cancellation of the measure's entity that was taken back since it occurred."""
    kind = playbook.entities.get(measure.entity or "")
    entity = entity_of(contact, kind.name, key) if kind is not None and kind.restored_by and key else None
    if kind is None or entity is None or entity.restored_at <= occurred_at or is_reversed(entity):
        return False
    return event in full_reversals(kind)


def standing_of_entities(contact: Contact, kind: EntityKind) -> dict[str, EntityReason | None]:
    """Return, for each entity of the kind, why runs with `while: open` about it end, None while it is open."""
    return {
        key: "entity_reversed" if is_reversed(entity) else None if is_open(entity, kind) else "entity_closed"
        for key, entity in contact.memory.entities.get(kind.name, {}).items()
    }


def entities_concerned(contact: Contact, kind_name: str, event: Event, name: str) -> Collection[str]:
    """Return the keys of the kind's entities that the event is about by its property `name`.

    The property, or that of one of the event's products, is the entity's key, the key of one of its lines, or has the
    same value as the entity's own property of that name.
    """
    values = set(object_keys(event, name))
    concerned = set(values)
    for key, entity in contact.memory.entities.get(kind_name, {}).items() if values else ():
        if key_text(entity.fields.get(name)) in values or not values.isdisjoint(line_keys(entity)):
            concerned.add(key)
    return concerned
