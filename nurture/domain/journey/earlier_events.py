"""Events about an entity, and about parts of it, that came before the event that makes it count.

A shop may tell of a parcel before its order. The person was a lead then, and measures for customers took no notice;
once the order makes a customer, they start as if the parcel had been told after it.
"""

from collections.abc import Iterator

from nurture.domain.contact import Transition
from nurture.domain.entities import entity_key, entity_of
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.instant import Instant
from nurture.domain.journey.entry import Firing, enter_measure
from nurture.domain.journey.set_aside import evaluate_rule
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure
from nurture.domain.memory import Entity
from nurture.domain.playbook import EntityKind, EventMatch

_Earlier = tuple[Measure, EventMatch, Event, str]


def start_by_earlier_events(work: Work, moved: list[Transition], event: Event, at: Instant) -> None:
    """Start the measures for customers by earlier events about the entity that made a customer of the person."""
    if not any(change.kind == "track" and change.after == "customer" for change in moved):
        return
    found = [
        part
        for kind in work.index.converting.get(event.name, ())
        if event.name in _names(kind.counts_from or kind.of)
        for name, key, entity in _concerned(work, kind, event)
        for part in _earlier_events(work, name, key, entity, without=event)
    ]
    for measure, match, before, key in sorted(found, key=_order):
        if evaluate_rule(work, measure, at, False, holds_for, match, before, work.playbook):
            enter_measure(
                work,
                measure,
                Firing(
                    at=at,
                    occurred_at=before.occurred_at,
                    entity_key=key,
                    event=before.name,
                    properties=before.properties,
                ),
            )


def _order(start: _Earlier) -> tuple[str, Instant, str, str]:
    measure, _, before, key = start
    return measure.path, before.occurred_at, before.name, key


def _concerned(work: Work, kind: EntityKind, event: Event) -> Iterator[tuple[EntityKind, str, Entity]]:
    """Yield the entity that the event is about and the parts of it."""
    key = entity_key(event, kind)
    entity = None if key is None else entity_of(work.contact, kind.name, key)
    if key is None or entity is None:
        return
    yield kind, key, entity
    for part in work.playbook.entities.values():
        if part.within == kind.name:
            for own, known in work.contact.memory.entities.get(part.name, {}).items():
                if known.parent == key and not known.replaced:
                    yield part, own, known


def _earlier_events(
    work: Work, kind: EntityKind, key: str, entity: Entity, *, without: Event
) -> Iterator[_Earlier]:
    """Yield the newest event of each name about the entity, with its fields, for each measure that it may start."""
    # A measure may be about the parcel, about its order, or about none.
    keys = {kind.name: key, None: ""} | ({kind.within: entity.parent} if entity.parent else {})
    for name in _names(kind.of).intersection(entity.newest).difference({without.name}):
        for measure, match in work.index.triggers.get(name, ()):
            # Of `per event` only the event itself can say whether it is the same one.
            if measure.track == "customer" and measure.entity in keys and measure.once.per != "event":
                since = entity.newest[name]
                yield measure, match, _as_event(name, since, entity, without), keys[measure.entity]


def _as_event(name: str, occurred_at: Instant, entity: Entity, latest: Event) -> Event:
    """Return an event of this name that has the fields of the entity."""
    return Event(
        seq=latest.seq,
        source=latest.source,
        message_id=latest.message_id,
        kind="track",
        name=name,
        occurred_at=occurred_at,
        received_at=latest.received_at,
        properties=dict(entity.fields),
    )


def _names(matches: tuple[EventMatch, ...]) -> frozenset[str]:
    return frozenset(name for match in matches for name in match.names)
