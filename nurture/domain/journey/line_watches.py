"""Lists of watchers over the lines of entities: who bought a product watches it while the order stands.

Such a list follows from the entities and from the ends that the contact knows, so any order of arrival gives the same.
"""

from typing import Final

from nurture.domain.contact import Contact, WatchedLines
from nurture.domain.entities.reading import first_key, net_lines
from nurture.domain.event import Event
from nurture.domain.event_index import index_of
from nurture.domain.event_index.affected_parts import AffectedParts
from nurture.domain.instant import NEVER, Instant
from nurture.domain.journey.object_watches import object_keys
from nurture.domain.journey.working_state import Work
from nurture.domain.memory import ObjectRequest
from nurture.domain.playbook import Playbook, WatchList
from nurture.domain.values import key_text

#: Objects of one list that are kept for a contact, the newest ones.
_KEPT_MAX: Final = 500
#: Between the keys of an entity and of one of its objects.
_OF: Final = "\n"


def watched_lines(contact: Contact, playbook: Playbook) -> list[WatchedLines]:
    """Return what the contact watches on each list over lines."""
    return [WatchedLines(watch.id, _watched(contact, watch)) for watch in index_of(playbook).line_lists]


def lines_before(work: Work, affected: AffectedParts, *, mail: bool) -> list[WatchedLines] | None:
    """Return the lists as they are before an event is folded; None when it cannot change any, and in a replay."""
    if not (mail and work.index.line_lists and (affected.entities or affected.watches)):
        return None
    return watched_lines(work.contact, work.playbook)


def note_changed_lines(work: Work, before: list[WatchedLines] | None) -> None:
    """Add the lists that differ from those before to the result."""
    if before is not None:
        after = watched_lines(work.contact, work.playbook)
        work.result.watched_lines += [new for old, new in zip(before, after, strict=True) if old != new]


def _watched(contact: Contact, watch: WatchList) -> dict[str, Instant]:
    """Return key -> since, of the objects of the lines of entities that count and stand."""
    ended = contact.memory.requests.get(watch.id, {})
    since: dict[str, Instant] = {}
    for key, entity in contact.memory.entities.get(watch.lines_of, {}).items():
        at = entity.counted_at
        if at is None or entity.reversed_at is not None or entity.replaced or key in ended:
            continue
        for line_key, line, _ in net_lines(entity):
            thing = first_key(line.fields, (watch.key,)) or line_key
            if f"{key}{_OF}{thing}" not in ended:
                since[thing] = max(since.get(thing, NEVER), at)
    newest = sorted(since, key=lambda thing: (since[thing], thing))[-_KEPT_MAX:]
    return {thing: since[thing] for thing in sorted(newest)}


def ended_lines(event: Event, watch: WatchList, playbook: Playbook) -> dict[str, ObjectRequest]:
    """Return the ends that an event of `until` brings, by what is kept of them.

    It names the entity: all its objects, or with goods of its own only these.
    """
    kind = playbook.entities.get(watch.lines_of)
    key = first_key(event.properties, kind.keys) if kind is not None else None
    if key is None or key_text(key) is None:
        return {}
    end = ObjectRequest(ended_at=event.occurred_at)
    things = object_keys(event, watch.key)
    return {f"{key}{_OF}{thing}": end for thing in things} if things else {key: end}
