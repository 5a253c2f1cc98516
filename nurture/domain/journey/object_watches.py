"""The objects that a contact watches: which events start a watch, which end it, and what is open after a history."""

from collections.abc import Iterable, Mapping
from typing import Final

from nurture.domain.contact import WatchChange
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import ObjectRequest
from nurture.domain.playbook import Playbook
from nurture.domain.values import key_text

#: The key in the context of an object's event that names the people to whom it is handed.
TO: Final = "to"
AUDIENCE: Final = "audience"


def watch_changes(event: Event, playbook: Playbook) -> list[WatchChange]:
    """Return the watches that the event starts or ends; an object's own event ends the watch."""
    changes: list[WatchChange] = []
    index = index_of(playbook)
    for kind in (*index.watch_from.get(event.name, ()), *index.watch_until.get(event.name, ())):
        for key in object_keys(event, kind.key):
            is_start = event.name in kind.watched_from
            changes.append(WatchChange(kind.kind, key, event.occurred_at, is_start))
    if event.kind == "object" and not is_for_audience(event):
        for kind in playbook.objects.values():
            if event.name in kind.wakes:
                # By its arrival: it ends the watches that are there when it wakes.
                changes += [
                    WatchChange(kind.kind, key, event.received_at, is_start=False)
                    for key in object_keys(event, kind.key)
                ]
    return changes


def is_for_audience(event: Event) -> bool:
    """Tell whether an object's event is handed to somebody as one of an audience, and not as a watcher."""
    return event.context.get(TO) == AUDIENCE


def open_watches(events: Iterable[Event], playbook: Playbook) -> dict[tuple[str, str], Instant]:
    """Return (kind, key) -> since, of every watch that these events, in the order of application, leave open."""
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
    rows = event.properties.get("products")
    values = [event.properties.get(name)]
    if isinstance(rows, list):
        values.extend(row.get(name) for row in rows if isinstance(row, dict))
    keys = (key_text(value) for value in values)
    return list(dict.fromkeys(key for key in keys if key is not None))
