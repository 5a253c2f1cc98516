"""Replay: the state of a contact folded again from its stored events, by the same rule with mail off.

It proves that stored state equals its events (`nurture doctor`), merges two contacts, and applies changed
definitions of facts. It reads events and writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, reduce
from hashlib import blake2b
from typing import Any, Final

from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.event_queries import load_events
from nurture.contacts.queries import load_contacts
from nurture.database.engine import Database
from nurture.domain.conditions import Condition
from nurture.domain.contact import Advance, Contact
from nurture.domain.entities.carried import carry_over
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.facts import empty
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from nurture.domain.journey.object_watches import watches_of_history
from nurture.domain.journey.refold import refit
from nurture.domain.playbook import Playbook

#: Raise it when a release folds the same definitions in another way: each contact is then refolded when it advances.
_FOLDS: Final = 7


def replay_events(
    contact_id: int, events: Sequence[Event], playbook: Playbook, baselines: Sequence[Contact] = ()
) -> Contact:
    """Return the contact that these events, in the order of application, make of an empty one.

    baselines: the folded results of removed events; the events are folded on top. A fact that was defined since
    the removal knows the kept events only; a fact over entities keeps the value that it had by events.
    """
    if baselines:
        start = reduce(
            lambda contact, added: combine_histories(contact, added, playbook),
            (_carried_over(baseline.copy(), playbook) for baseline in baselines),
        )
        start.id = contact_id
        start.memory.definitions = definitions(playbook)
        if not events:
            return start
    elif not events:
        return empty(contact_id, first_seen_at=0, playbook=playbook)
    else:
        start = begin(contact_id, events[0], playbook)
    now = max(event.received_at for event in events)
    return advance(start, events, now=now, playbook=playbook, mail=False, in_place=True).contact


def _carried_over(baseline: Contact, playbook: Playbook) -> Contact:
    """Return the baseline with the facts, track and stage that these definitions make of what is known of it."""
    if baseline.memory.definitions == definitions(playbook):
        return baseline
    carry_over(baseline, playbook)
    nobody = empty(baseline.id, first_seen_at=baseline.first_seen_at, playbook=playbook)
    return combine_histories(baseline, nobody, playbook)


def begin(contact_id: int, first: Event, playbook: Playbook) -> Contact:
    """Return the state of a contact before its first event."""
    contact = empty(contact_id, first_seen_at=first.occurred_at, playbook=playbook)
    contact.memory.definitions = definitions(playbook)
    return contact


def refold(
    contact: Contact,
    events: Sequence[Event],
    baselines: Sequence[Contact],
    *,
    at: Instant,
    playbook: Playbook,
) -> Advance:
    """Give the contact, in place, what these definitions make of its events; return what follows from that."""
    replayed = replay_events(contact.id, events, playbook, baselines)
    result = refit(contact, replayed, at=at, evidence="playbook", playbook=playbook)
    result.watches += watches_of_history(events, playbook)
    return result


def replay(database: Database, contact_id: int, playbook: Playbook) -> Contact:
    """Return the replay of the contact and of all contacts merged into it."""
    with database.read() as connection:
        events = load_events(connection, [contact_id])[contact_id]
        return replay_events(
            contact_id, events, playbook, load_baselines(connection, [contact_id])[contact_id]
        )


def verify_replay(database: Database, contact_id: int, playbook: Playbook) -> list[str]:
    """Return how stored facts, track and stage differ from a replay; nothing when they are equal.

    A contact that has not taken up this playbook's definitions yet is not compared.
    """
    with database.read() as connection:
        stored = load_contacts(connection, [contact_id], playbook).get(contact_id)
        events = load_events(connection, [contact_id])[contact_id]
        baselines = load_baselines(connection, [contact_id])[contact_id]
    if stored is None or not (events or baselines) or stored.memory.definitions != definitions(playbook):
        return []
    return differences(stored, replay_events(contact_id, events, playbook, baselines))


def differences(stored: Contact, replayed: Contact) -> list[str]:
    """Return one line for each fact, and for track and stage, in which the two differ."""
    pairs: dict[str, tuple[Any, Any]] = {
        name: (stored.facts.get(name), replayed.facts.get(name))
        for name in {**stored.facts, **replayed.facts}
    }
    pairs["track"] = (stored.track, replayed.track)
    pairs["stage"] = (stored.stage, replayed.stage)
    return [
        f"{name}: stored {mine!r}, by its events {theirs!r}"
        for name, (mine, theirs) in sorted(pairs.items())
        if mine != theirs
    ]


@lru_cache(maxsize=16)
def definitions(playbook: Playbook) -> str:
    """Return a hash of everything in the playbook that facts, track and stage are folded by."""
    parts = (
        playbook.facts,
        playbook.entities,
        playbook.currencies,
        playbook.personas,
        playbook.properties.terms,
        playbook.stages,
        playbook.conversion,
        playbook.milestones,
        playbook.holds,
        *((playbook.requests, playbook.objects) if playbook.requests else _lists(playbook)),
        playbook.topics,
        *((playbook.accounts,) if playbook.accounts is not None else ()),
        # Events whose count, first and last are kept because some condition asks.
        index_of(playbook).remembered,
        _FOLDS,
    )
    return blake2b(repr(_plain(parts)).encode(), digest_size=8).hexdigest()


#: Fields that a later release added: left out while they hold nothing, so that an upgrade refolds nobody.
_ADDED: Final = frozenset({"lists", "read_by"})


def _lists(playbook: Playbook) -> tuple[Any, ...]:
    """Return the lists of watchers, from which what is remembered of requests follows."""
    lists = [kind.lists for kind in playbook.objects.values() if kind.lists]
    return (lists,) if lists else ()


def _plain(value: Any) -> Any:
    """Return the value as nested lists that are written the same way in every process."""
    if isinstance(value, Condition):
        return value.expanded
    if is_dataclass(value):
        kept = [
            field.name for field in fields(value) if field.name not in _ADDED or getattr(value, field.name)
        ]
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in kept)]
    if isinstance(value, Mapping):
        return sorted([str(key), _plain(inner)] for key, inner in value.items())
    if isinstance(value, frozenset | set):
        return sorted(_plain(inner) for inner in value)
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value
