"""The objects that a contact watches by its events: which start a watch, which end it, and what a history leaves open.

Each watch stands on a list of its kind: the one without a name, or one of `watchers`. Lists over the lines of entities
follow from these (`line_watches`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nurture.domain.contact import WatchChange
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import ObjectRequest
from nurture.domain.playbook import Playbook, WatchList
from nurture.domain.values import key_text

#: The keys in the context of an object's event: the people to whom it is handed, and the lists on which they stand.
TO: Final = "to"
AUDIENCE: Final = "audience"
LISTS: Final = "lists"


def watch_changes(event: Event, playbook: Playbook) -> list[WatchChange]:
    """Return the watches that the event starts or ends; an object's own event ends those that it answers."""
    changes: list[WatchChange] = []
    index = index_of(playbook)
    for watch in (*index.watch_from.get(event.name, ()), *index.watch_until.get(event.name, ())):
        if watch.lines_of:
            continue
        for key in object_keys(event, watch.key):
            is_start = event.name in watch.begun_by
            changes.append(WatchChange(watch.id, key, event.occurred_at, is_start))
    changes += [
        # By its arrival: it ends the watches that are there when it wakes.
        WatchChange(watch.id, key, event.received_at, is_start=False)
        for watch in answered_lists(event, playbook)
        for key in object_keys(event, watch.key)
    ]
    return changes


def is_for_audience(event: Event) -> bool:
    """Tell whether an object's event is handed to somebody as one of an audience, and not as a watcher."""
    return event.context.get(TO) == AUDIENCE


def lists_of(event: Event) -> frozenset[str]:
    """Return the names of the lists as whose watcher somebody is handed an object's event; "" has no name."""
    if is_for_audience(event):
        return frozenset()
    names = event.context.get(LISTS)
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset({""})


def answered_lists(event: Event, playbook: Playbook) -> Iterator[WatchList]:
    """Yield the lists whose requests an object's event answers: the one without a name, and those asked for."""
    if event.kind != "object":
        return
    names = lists_of(event)
    for kind in playbook.objects.values() if names else ():
        if event.name in kind.wakes:
            yield from (
                watch
                for watch in kind.all_lists
                if watch.name in names
                and (
                    not watch.name
                    or (watch.asked_for and event.properties.get("object_kind", kind.kind) == kind.kind)
                )
            )


def open_watches(events: Iterable[Event], playbook: Playbook) -> dict[tuple[str, str], Instant]:
    """Return (list, key) -> since, of every watch that these events, in the order of application, leave open."""
    watches: dict[tuple[str, str], Instant] = {}
    ended: dict[tuple[str, str], Instant] = {}
    for event in events:
        for change in watch_changes(event, playbook):
            thing = change.kind, change.key
            if not change.is_start:
                ended[thing] = max(ended.get(thing, NEVER), change.at)
            elif change.at > ended.get(thing, NEVER):
                watches[thing] = max(watches.get(thing, NEVER), change.at)
    return {thing: since for thing, since in watches.items() if since > ended.get(thing, NEVER)}


def watches_of_history(events: Iterable[Event], playbook: Playbook) -> list[WatchChange]:
    """Return the watches that a history leaves open on lists with a name, as starts: a publication may add a list."""
    lists = [watch for kind in playbook.objects.values() for watch in kind.lists if not watch.lines_of]
    if not lists:
        return []
    names = {watch.id for watch in lists}
    return [
        WatchChange(kind, key, since, is_start=True)
        for (kind, key), since in sorted(open_watches(events, playbook).items())
        if kind in names
    ]


def without_ended(
    changes: Iterable[WatchChange], requests: Mapping[str, Mapping[str, ObjectRequest]]
) -> list[WatchChange]:
    """Leave out the starts that a known end comes after: they arrive late, and were answered or given up."""
    return [
        change
        for change in changes
        if not change.is_start
        or change.at > requests.get(change.kind, {}).get(change.key, ObjectRequest()).ended_at
    ]


def ends_known(requests: Mapping[str, Mapping[str, ObjectRequest]]) -> list[WatchChange]:
    """Return the newest end of the watch of each object, so that what two people knew apart holds for both."""
    return [
        WatchChange(kind, key, asked.ended_at, is_start=False)
        for kind, objects in requests.items()
        for key, asked in objects.items()
        if asked.ended_at > NEVER
    ]


def object_keys(event: Event, name: str) -> list[str]:
    """Return the object keys the event names: its own property, and those of its `products`."""
    return keys_in(event.properties, name)


def keys_in(properties: Mapping[str, Any], name: str) -> list[str]:
    """Return the object keys that properties name: their own, and those of their `products`."""
    rows = properties.get("products")
    values = [properties.get(name)]
    if isinstance(rows, list):
        values.extend(row.get(name) for row in rows if isinstance(row, dict))
    keys = (key_text(value) for value in values)
    return list(dict.fromkeys(key for key in keys if key is not None))
