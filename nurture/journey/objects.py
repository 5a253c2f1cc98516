"""Objects: things without a person, folded from events, and the waking of contacts who watch them.

Input: events just applied, with or without a contact. Output: facts of products, pieces, webinars; and, for the
events that wake, one internal event per watcher, in order of waiting and a bounded number at a time, which
takes the way of every event: inbox, identity, advance.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import load_newest_identities
from nurture.database.engine import Database, decode, encode
from nurture.domain.counts import Counts
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.instant import Instant
from nurture.domain.journey.object_watches import AUDIENCE, LISTS, TO
from nurture.domain.measure import Measure
from nurture.domain.playbook import ObjectKind, Playbook, WatchList
from nurture.domain.values import key_text
from nurture.journey import object_queries as store
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock

#: The source of internal events to watchers; they fold no object and wake nobody again.
SOURCE: Final = "object"
_FIELDS_MAX: Final = 60
#: The list without a name alone.
_UNNAMED: Final = frozenset({""})


def fold_objects(connection: sa.Connection, events: Sequence[Event], playbook: Playbook) -> int:
    """Fold the events into the objects they name and note which watchers to wake; return how many objects changed.

    events: applied in this transaction, numbered. A field's value is the newest by (occurred_at, message id),
    whatever the order of arrival.
    """
    news: dict[store.Thing, list[tuple[Event, dict[str, Any]]]] = {}
    wakes: list[dict[str, Any]] = []
    for event in events:
        for kind, key, fields in _named(event, playbook):
            if event.name in kind.of:
                news.setdefault((kind.kind, key), []).append((event, fields))
            if event.name in kind.wakes and not event.historic:
                wakes.append(_wake(event, kind.kind, key, fields))
    if news:
        known = store.lock_objects(connection, list(news))
        changed: dict[store.Thing, tuple[dict[str, Any], Instant, Instant]] = {}
        for thing, sources in news.items():
            for event, fields in sources:
                _fold(known[thing], event, fields)
            instants = [event.occurred_at for event, _ in sources]
            changed[thing] = (known[thing], max(instants), min(instants))
        store.save_objects(connection, changed)
    store.add_wakes(connection, wakes)
    return len(news)


def _named(event: Event, playbook: Playbook) -> Iterator[tuple[ObjectKind, str, dict[str, Any]]]:
    """Yield each object the event names, itself or in its `products`, with what it says about it.

    None for a hint: everybody can read a browser key, and what is known of an object stands in the mail of others.
    """
    if event.source == SOURCE or event.hint:
        return
    for kind in playbook.objects.values():
        if event.name not in kind.of and event.name not in kind.wakes:
            continue
        lines = event.properties.get("products")
        for fields in (event.properties, *(lines if isinstance(lines, list) else ())):
            key = key_text(fields.get(kind.key)) if isinstance(fields, dict) else None
            if key is not None:
                yield kind, key, {name: fields[name] for name in fields if name != "products"}


def _fold(facts: dict[str, Any], event: Event, fields: dict[str, Any]) -> None:
    values, at = facts["values"], facts["at"]
    stamp = [event.occurred_at, event.message_id]
    for name, value in fields.items():
        if name not in at and len(at) >= _FIELDS_MAX:
            continue
        if name not in at or stamp > at[name]:
            values[name], at[name] = value, stamp


def _wake(event: Event, kind: str, key: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "key": key,
        "name": event.name,
        "event_id": event.seq,
        "occurred_at": event.occurred_at,
        "body": encode({**fields, "object_kind": kind}),
    }


def wake_watchers(
    database: Database, *, clock: Clock, playbooks: PlaybookSource | None = None, limit: int = 200
) -> Counts:
    """Hand the next watchers of the oldest change an internal event each, those who wait longest first.

    One transaction; `counts.more` while watchers are left. With `playbooks`, people who have waited longer
    than the object's `watch_for` are no longer woken. Nobody is woken while an event that was accepted before the
    change waits in the inbox, so that a contact who asked before the change is woken in any order of the shards.
    Counts `woken` and `given_up`.
    """
    with database.look() as connection:
        if not store.has_wakes(connection):
            return Counts()
    now = clock.now()

    def work(connection: sa.Connection) -> Counts:
        wake = store.lock_wake(connection)
        if wake is None or store.is_early(connection, wake, own=SOURCE):
            return Counts()
        playbook = playbooks.active(connection).playbook if playbooks is not None else None
        if wake.cursor_since == store.TO_AUDIENCE:
            return _wake_audience(connection, wake, playbook, now=now, limit=limit)
        return _wake_next(connection, wake, playbook, now=now, limit=limit)

    return database.run(work)


def _wake_next(
    connection: sa.Connection, wake: sa.Row[Any], playbook: Playbook | None, *, now: Instant, limit: int
) -> Counts:
    lists = _lists_woken(wake, playbook)
    waiting = store.watchers(connection, wake, list(lists), limit=limit)
    contacts = [watcher.contact_id for watcher in waiting]
    watched = store.lists_of_watchers(connection, wake.key, list(lists), contacts) if contacts else {}
    late: dict[str, list[int]] = {}
    people: dict[int, frozenset[str]] = {}
    for contact in contacts:
        over = {name for name, since in watched[contact].items() if _is_over(lists[name], since, now)}
        for name in over:
            late.setdefault(name, []).append(contact)
        if names := watched[contact].keys() - over:
            people[contact] = frozenset(name.partition("/")[2] for name in names)
    _hand_to(connection, wake, list(people), now=now, lists=people)
    for name, given_up in late.items():
        store.forget_watches(connection, (name, wake.key), given_up)
    counts = Counts(woken=len(people), given_up=len(contacts) - len(people))
    if len(waiting) < limit:
        if _measures_of_audience(wake, playbook):
            store.move_cursor(connection, wake.id, since=store.TO_AUDIENCE, contact=0)
        else:
            store.end_wake(connection, wake.id)
        counts.more = store.has_wakes(connection)
    else:
        store.move_cursor(connection, wake.id, since=waiting[-1].since, contact=waiting[-1].contact_id)
        counts.more = True
    return counts


def _is_over(watch: WatchList | None, since: Instant, now: Instant) -> bool:
    """Tell whether somebody has watched for longer than the list allows."""
    return watch is not None and since < now - watch.lasts


def _lists_woken(wake: sa.Row[Any], playbook: Playbook | None) -> dict[str, WatchList | None]:
    """Return id -> list of those whose watchers the change wakes: the one without a name, and those of triggers.

    None in place of a list whose kind the playbook does not know.
    """
    kind = playbook.objects.get(wake.kind) if playbook is not None else None
    if playbook is None or kind is None:
        return {wake.kind: None}
    triggers = [on for _, on in index_of(playbook).objects.get(wake.name, ()) if on.kind == wake.kind]
    names = {"", *(name for on in triggers for name in on.lists)}
    return {watch.id: watch for watch in kind.all_lists if watch.name in names}


def _wake_audience(
    connection: sa.Connection, wake: sa.Row[Any], playbook: Playbook | None, *, now: Instant, limit: int
) -> Counts:
    """Hand the change to the next people of the audiences of measures that it starts for everybody there."""
    measures = _measures_of_audience(wake, playbook)
    people: list[int] = []
    if playbook is not None and measures:
        after = wake.cursor_contact
        people = store.audience_after(connection, measures, playbook, after=after, now=now, limit=limit)
        _hand_to(connection, wake, people, now=now, to=AUDIENCE)
    if len(people) < limit:
        store.end_wake(connection, wake.id)
    else:
        store.move_cursor(connection, wake.id, since=store.TO_AUDIENCE, contact=people[-1])
    counts = Counts(woken=len(people))
    counts.more = store.has_wakes(connection)
    return counts


def _measures_of_audience(wake: sa.Row[Any], playbook: Playbook | None) -> list[Measure]:
    """Return the measures that the change starts for everybody in their audience."""
    pairs = index_of(playbook).objects.get(wake.name, ()) if playbook is not None else ()
    return [measure for measure, trigger in pairs if trigger.to_audience and trigger.kind == wake.kind]


def _hand_to(
    connection: sa.Connection,
    wake: sa.Row[Any],
    people: Sequence[int],
    *,
    now: Instant,
    to: str = "",
    lists: Mapping[int, frozenset[str]] = MappingProxyType({}),
) -> None:
    """Hand each of these people the change as an event.

    to: `audience`, or "" for people who watch the object. lists: contact -> the names of the lists on which it does.
    """
    names = load_newest_identities(connection, people)
    accept(
        connection,
        [
            NewEvent(
                source=SOURCE,
                message_id=f"{wake.event_id}:{wake.id}:{contact}{to and f':{to}'}",
                kind="object",
                name=wake.name,
                occurred_at=wake.occurred_at,
                received_at=max(now, wake.occurred_at),
                identities=names[contact],
                properties=decode(wake.body),
                context={TO: to} if to else _context(lists.get(contact, _UNNAMED)),
            )
            for contact in people
            if contact in names
        ],
        bulk=True,
    )


def _context(names: frozenset[str]) -> dict[str, Any]:
    return {} if names == _UNNAMED else {LISTS: sorted(names)}
