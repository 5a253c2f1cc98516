"""Entities: carts, orders, cases and projects, folded out of the events that name them.

A closed one stays as a tombstone, so a late event cannot re-open it.
"""

from hashlib import blake2b

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Index
from nurture.domain.instant import NEVER
from nurture.domain.memory import NO_STAMP, Closings, Entity, EntityLine, FieldStamp
from nurture.domain.playbook import EntityFact, Playbook

#: An entity holds this many lines and fields.
_LINES_MAX = 50
_FIELDS_MAX = 60
#: So many forgotten entities are known to have been counted.
_GONE_MAX = 200


def fold_entities(contact: Contact, event: Event, playbook: Playbook, index: Index) -> bool:
    """Fold the event into the entities it opens, updates or closes; tell whether there was any."""
    changed = set()
    for fact, match in index.opens.get(event.name, ()):
        if holds_for(match, event, playbook) and _open_or_update(contact, event, fact):
            changed.add(fact.name)
    for fact in index.closes.get(event.name, ()):
        _close(contact, event, fact)
        changed.add(fact.name)
    if changed:
        for fact in index.entities:
            if fact.name in changed:
                settle_entities(contact, fact)
    return bool(changed)


def entity_key(event: Event, fact: EntityFact) -> str | None:
    """Return the key that the event names the entity by, as text."""
    key = event.properties.get(fact.key)
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        return None
    return str(key)[:200]


def _open_or_update(contact: Contact, event: Event, fact: EntityFact) -> bool:
    key = entity_key(event, fact)
    if key is None:
        return False
    known = contact.memory.entities.setdefault(fact.name, {})
    at = event.occurred_at
    if key not in known:
        known[key] = Entity(opened_at=at, touched_at=at)
        dropped = contact.memory.dropped_entities.get(fact.name)
        if not dropped or mark_of(key) not in dropped:
            contact.facts[f"{fact.name}.ever"] = contact.facts.get(f"{fact.name}.ever", 0) + 1
    entity = known[key]
    entity.opened_at = min(entity.opened_at, at)
    entity.touched_at = max(entity.touched_at, at)
    stamp = (at, event.message_id)
    is_line = fact.line_key is not None and event.name in (*fact.added_by, *fact.removed_by)
    if is_line:
        _update_line(entity, event, fact, stamp)
    for name, value in event.properties.items():
        if is_line and name not in (fact.key, "currency"):
            continue
        if len(entity.stamps) >= _FIELDS_MAX and name not in entity.stamps:
            continue
        if stamp > entity.stamps.get(name, NO_STAMP):
            entity.fields[name], entity.stamps[name] = value, stamp
    return True


def _update_line(entity: Entity, event: Event, fact: EntityFact, stamp: FieldStamp) -> None:
    line_key = event.properties.get(fact.line_key or "")
    if not isinstance(line_key, str | int):
        return
    line = entity.lines.setdefault(str(line_key), EntityLine())
    if stamp > line.stamp:
        line.stamp, line.present = stamp, event.name in fact.added_by
        line.fields = dict(event.properties)
    if len(entity.lines) > _LINES_MAX:
        oldest = min(entity.lines, key=lambda name: entity.lines[name].stamp)
        del entity.lines[oldest]


def _close(contact: Contact, event: Event, fact: EntityFact) -> None:
    closings = contact.memory.closings.setdefault(fact.name, Closings())
    by_key = closings.by_key
    key = entity_key(event, fact)
    if fact.closed_by[event.name] == "key" and key is not None:
        by_key[key] = max(by_key.get(key, NEVER), event.occurred_at)
        for oldest in sorted(by_key, key=lambda name: (by_key[name], name))[: -fact.keep]:
            del by_key[oldest]
    else:
        closings.all_at = max(closings.all_at, event.occurred_at)


def mark_of(key: str) -> str:
    """Return what is kept of the key of a forgotten entity, so that a late event does not count it again."""
    return blake2b(key.encode(), digest_size=4).hexdigest()


def settle_entities(contact: Contact, fact: EntityFact) -> None:
    """Work out which entities are closed, drop the oldest beyond `keep`, and publish the scalars."""
    known = contact.memory.entities.get(fact.name, {})
    closings = contact.memory.closings.get(fact.name) or Closings()
    for key, entity in known.items():
        if key in closings.by_key:
            entity.closed_at = closings.by_key[key]
        else:
            entity.closed_at = closings.all_at if closings.all_at >= entity.touched_at else None
    newest = max((entity.touched_at for entity in known.values()), default=NEVER)
    if len(known) > 1:
        order = sorted(known, key=lambda key: (known[key].closed_at is None, known[key].touched_at, key))
        forgotten = [key for key in known if newest - known[key].touched_at > fact.remember]
        for key in dict.fromkeys([*order[: max(len(known) - fact.keep, 0)], *forgotten]):
            del known[key]
            dropped = contact.memory.dropped_entities
            marks = dict.fromkeys([*dropped.get(fact.name, ()), mark_of(key)])
            dropped[fact.name] = list(marks)[-_GONE_MAX:]
    contact.facts[f"{fact.name}.open"] = sum([entity.closed_at is None for entity in known.values()])
    if newest > NEVER:
        last = contact.facts.get(f"{fact.name}.last_at", newest)
        contact.facts[f"{fact.name}.last_at"] = max(last, newest)
