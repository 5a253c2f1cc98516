"""Entities: carts, orders, cases and projects, folded out of the events that name them.

A closed one stays as a tombstone, so a late event cannot re-open it. In `Contact.memory`:

    entities    {name: {key: {fields, at, lines, opened_at, touched_at, closed_at}}}
    closings    {name: {"all": instant, "keys": {key: instant}}}
    gone        {name: [marks of the keys of entities that were forgotten, which have been counted]}
"""

from hashlib import blake2b
from typing import Any

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Index
from nurture.domain.instant import NEVER
from nurture.domain.playbook import EntityFact, Playbook

#: An entity holds this many lines and fields.
_LINES_MAX = 50
_FIELDS_MAX = 60
#: So many forgotten entities are known to have been counted.
_GONE_MAX = 200


def fold_entities(contact: Contact, event: Event, playbook: Playbook, index: Index) -> bool:
    """Fold the event into the entities it opens, touches or closes; tell whether there was any."""
    touched = set()
    for fact, match in index.opens.get(event.name, ()):
        if holds_for(match, event, playbook) and _touch(contact, event, fact):
            touched.add(fact.name)
    for fact in index.closes.get(event.name, ()):
        _close(contact, event, fact)
        touched.add(fact.name)
    if touched:
        for fact in index.entities:
            if fact.name in touched:
                settle_entities(contact, fact)
    return bool(touched)


def entity_key(event: Event, fact: EntityFact) -> str | None:
    """Return the key that the event names the entity by, as text."""
    key = event.properties.get(fact.key)
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        return None
    return str(key)[:200]


def _touch(contact: Contact, event: Event, fact: EntityFact) -> bool:
    key = entity_key(event, fact)
    if key is None:
        return False
    known = contact.memory.setdefault("entities", {}).setdefault(fact.name, {})
    at = event.occurred_at
    if key not in known:
        known[key] = {
            "fields": {},
            "at": {},
            "lines": {},
            "opened_at": at,
            "touched_at": at,
            "closed_at": None,
        }
        gone = contact.memory.get("gone", {}).get(fact.name)
        if not gone or mark_of(key) not in gone:
            contact.facts[f"{fact.name}.ever"] = contact.facts.get(f"{fact.name}.ever", 0) + 1
    entity = known[key]
    entity["opened_at"] = min(entity["opened_at"], at)
    entity["touched_at"] = max(entity["touched_at"], at)
    stamp = [at, event.message_id]
    is_line = fact.line_key is not None and event.name in (*fact.added_by, *fact.removed_by)
    if is_line:
        _touch_line(entity, event, fact, stamp)
    for name, value in event.properties.items():
        if is_line and name not in (fact.key, "currency"):
            continue
        if len(entity["at"]) >= _FIELDS_MAX and name not in entity["at"]:
            continue
        if stamp > entity["at"].get(name, [NEVER, ""]):
            entity["fields"][name], entity["at"][name] = value, stamp
    return True


def _touch_line(entity: dict[str, Any], event: Event, fact: EntityFact, stamp: list[Any]) -> None:
    line_key = event.properties.get(fact.line_key or "")
    if not isinstance(line_key, str | int):
        return
    line = entity["lines"].setdefault(str(line_key), {"at": [NEVER, ""], "present": False, "fields": {}})
    if stamp > line["at"]:
        line["at"], line["present"] = stamp, event.name in fact.added_by
        line["fields"] = dict(event.properties)
    if len(entity["lines"]) > _LINES_MAX:
        oldest = min(entity["lines"], key=lambda name: entity["lines"][name]["at"])
        del entity["lines"][oldest]


def _close(contact: Contact, event: Event, fact: EntityFact) -> None:
    closings = contact.memory.setdefault("closings", {}).setdefault(fact.name, {"all": NEVER, "keys": {}})
    key = entity_key(event, fact)
    if fact.closed_by[event.name] == "key" and key is not None:
        closings["keys"][key] = max(closings["keys"].get(key, NEVER), event.occurred_at)
        for spare in sorted(closings["keys"], key=lambda name: (closings["keys"][name], name))[: -fact.keep]:
            del closings["keys"][spare]
    else:
        closings["all"] = max(closings["all"], event.occurred_at)


def mark_of(key: str) -> str:
    """Return what is kept of the key of a forgotten entity, so that a late event does not count it again."""
    return blake2b(key.encode(), digest_size=4).hexdigest()


def settle_entities(contact: Contact, fact: EntityFact) -> None:
    """Work out which entities are closed, drop the oldest beyond `keep`, and publish the scalars."""
    known = contact.memory.get("entities", {}).get(fact.name, {})
    closings = contact.memory.get("closings", {}).get(fact.name, {"all": NEVER, "keys": {}})
    for key, entity in known.items():
        if key in closings["keys"]:
            entity["closed_at"] = closings["keys"][key]
        elif closings["all"] >= entity["touched_at"]:
            entity["closed_at"] = closings["all"]
        elif entity["closed_at"] is not None and key not in closings["keys"]:
            entity["closed_at"] = None
    newest = max((entity["touched_at"] for entity in known.values()), default=NEVER)
    if len(known) > 1:
        order = sorted(
            known, key=lambda key: (known[key]["closed_at"] is None, known[key]["touched_at"], key)
        )
        forgotten = [key for key in known if newest - known[key]["touched_at"] > fact.remember]
        for key in dict.fromkeys([*order[: max(len(known) - fact.keep, 0)], *forgotten]):
            del known[key]
            gone = contact.memory.setdefault("gone", {}).setdefault(fact.name, [])
            contact.memory["gone"][fact.name] = list(dict.fromkeys([*gone, mark_of(key)]))[-_GONE_MAX:]
    contact.facts[f"{fact.name}.open"] = sum([entity["closed_at"] is None for entity in known.values()])
    if newest > NEVER:
        last = contact.facts.get(f"{fact.name}.last_at", newest)
        contact.facts[f"{fact.name}.last_at"] = max(last, newest)
