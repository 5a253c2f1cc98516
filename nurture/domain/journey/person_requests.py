"""A person's requests for one certain mail (`requests` of the playbook), and the request that starts a run.

A run is asked for when its own trigger is a request of the person, or an object that the person watches because of
one. A request for an object stands until the person ends the watch or the object's event answers it: one request,
one run.
"""

from collections.abc import Mapping
from typing import Final

from nurture.domain.contact import Contact, PersonRequest
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import index_of
from nurture.domain.instant import Instant
from nurture.domain.journey.line_watches import ended_lines
from nurture.domain.journey.object_watches import answered_lists, lists_of, object_keys
from nurture.domain.measure import Measure, OnEvent, OnObject
from nurture.domain.memory import NO_STAMP, Memory, ObjectRequest
from nurture.domain.playbook import Playbook, WatchList

#: Objects of one kind whose requests and ends are kept, the newest ones.
_KEPT_MAX: Final = 100


def fold_requests(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Note the objects that the event asks for, and those that the person no longer wants to hear of."""
    index, stamp = index_of(playbook), (event.occurred_at, event.name)
    for watch in index.watch_from.get(event.name, ()):
        if watch.asked_for or (not watch.name and is_request(event, playbook)):
            asked = ObjectRequest(hint=stamp) if event.hint else ObjectRequest(proof=stamp)
            _note(contact.memory, watch, event, asked)
    for watch in index.watch_until.get(event.name, ()):
        if watch.lines_of:
            _add(contact.memory, watch, ended_lines(event, watch, playbook))
        else:
            _note(contact.memory, watch, event, ObjectRequest(ended_at=event.occurred_at))


def end_answered_requests(contact: Contact, event: Event, playbook: Playbook) -> None:
    """End the requests that an object's event answers; call it after the runs that the event starts.

    By its arrival, as with watches: whatever was asked before then is answered.
    """
    for watch in answered_lists(event, playbook):
        _note(contact.memory, watch, event, ObjectRequest(ended_at=event.received_at))


def is_request(event: Event, playbook: Playbook) -> bool:
    """Tell whether the person asks for a mail by this event."""
    return any(event.name in match.names and holds_for(match, event, playbook) for match in playbook.requests)


def request_behind(
    contact: Contact, measure: Measure, event: Event, playbook: Playbook
) -> PersonRequest | None:
    """Return the person's request by which the event starts the measure, None when there is none."""
    match measure.trigger:
        case OnEvent() if is_request(event, playbook):
            return PersonRequest(event.name, event.occurred_at, is_proven=not event.hint)
        case OnObject(kind=kind, to_audience=False, lists=lists):
            declared = playbook.objects.get(kind)
            watches = declared.all_lists if declared is not None else ()
            meant = lists_of(event).intersection(lists or ("",))
            found = (
                _request_for_object(contact, watch, event)
                for watch in watches
                if watch.name in meant and (watch.asked_for or not watch.name)
            )
            return next((request for request in found if request is not None), None)
        case _:
            return None


def _request_for_object(contact: Contact, watch: WatchList, event: Event) -> PersonRequest | None:
    """Return the person's standing request that the object's event answers, None when there is none.

    A word of a trusted source goes before one of a browser key.
    """
    objects = contact.memory.requests.get(watch.id, {})
    for key in object_keys(event, watch.key) if objects else ():
        asked = objects.get(key, ObjectRequest())
        for stamp, is_proven in ((asked.proof, True), (asked.hint, False)):
            if stamp > NO_STAMP and stamp[0] > asked.ended_at:
                return PersonRequest(stamp[1], stamp[0], is_proven=is_proven)
    return None


def combine_requests(memory: Memory, added: Memory) -> None:
    """Add the requests of another memory, in place."""
    for kind, objects in added.requests.items():
        mine = memory.requests.setdefault(kind, {})
        for key, asked in objects.items():
            mine[key] = _combined(mine.get(key), asked)


def _note(memory: Memory, watch: WatchList, event: Event, news: ObjectRequest) -> None:
    """Add what the event says about the objects of a list that it names."""
    _add(memory, watch, dict.fromkeys(object_keys(event, watch.key), news))


def _add(memory: Memory, watch: WatchList, news: Mapping[str, ObjectRequest]) -> None:
    objects = memory.requests.setdefault(watch.id, {})
    for key, asked in news.items():
        objects[key] = _combined(objects.get(key), asked)
        if len(objects) > _KEPT_MAX:
            oldest = min(objects, key=lambda key: (_newest_of(objects[key]), key))
            del objects[oldest]


def _newest_of(asked: ObjectRequest) -> Instant:
    return max(asked.proof[0], asked.hint[0], asked.ended_at)


def _combined(first: ObjectRequest | None, second: ObjectRequest) -> ObjectRequest:
    """Return the newest of both in each respect, whatever the order."""
    if first is None:
        return second
    return ObjectRequest(
        max(first.proof, second.proof), max(first.hint, second.hint), max(first.ended_at, second.ended_at)
    )
