"""Track, stage, milestones and holds of a contact, each derived from evidence.

Track and stage are functions of the facts, so the same events give the same place in any order of arrival. A
person may jump from any stage to any later one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nurture.domain.conditions import Reading, Truth
from nurture.domain.contact import Contact, MilestoneReached, Transition
from nurture.domain.entities import entity_key, entity_of
from nurture.domain.entities.net_facts import shares_of
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Index, index_of, milestone_fold
from nurture.domain.instant import NEVER, Instant
from nurture.domain.measure import Track
from nurture.domain.memory import ConversionRecord, HoldSpan, MilestoneCount
from nurture.domain.playbook import EntityKind, EventMatch, Hold, Milestone, Playbook
from nurture.domain.timing import to_local
from nurture.domain.values import key_text

#: Keys remembered per milestone, hold and conversion; older ones are folded into a count.
_KEYS_MAX = 200
#: The key of a hold's starts and ends that name none.
_NO_KEY = ""


@dataclass(frozen=True, slots=True)
class ActiveHold:
    """A hold in force for a contact, with its start and its latest end."""

    hold: Hold
    since: Instant
    until: Instant
    # True: a colleague of the same account has it.
    is_shared: bool = False


def _matches_any(matches: Sequence[EventMatch], event: Event, playbook: Playbook) -> bool:
    return bool(matches) and any(holds_for(match, event, playbook) for match in matches)


def _key_property(event: Event, name: str | None) -> str:
    return (key_text(event.properties.get(name)) if name else None) or ""


def fold_conversion(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Record a converting event, or one that reverses a conversion in full; `move_track` follows."""
    rule, index = playbook.conversion, index_of(playbook)
    conversions = contact.memory.conversions
    if _matches_any(index.converts.get(event.name, ()), event, playbook):
        key = _key_property(event, rule.key) or event.message_id
        record = conversions.setdefault(key, ConversionRecord())
        record.at = event.occurred_at if record.at is None else min(record.at, event.occurred_at)
        if len(conversions) > _KEYS_MAX:
            oldest = min(conversions, key=lambda name: (conversions[name].at or NEVER, name))
            contact.memory.dropped_conversions += conversions.pop(oldest).counts
    if _matches_any(index.reverses.get(event.name, ()), event, playbook):
        key = _key_property(event, rule.key)
        if key:
            conversions.setdefault(key, ConversionRecord()).reversed = True
            if rule.hold is not None:
                _start_hold(contact, rule.hold, key, event.occurred_at)
    hold = None if rule.hold is None else playbook.holds.get(rule.hold)
    if hold is not None:
        _hold_after_reversal(contact, event, hold, index)


def _hold_after_reversal(contact: Contact, event: Event, hold: Hold, index: Index) -> None:
    """Put the hold on since a converting entity is reversed, and take it off where it was restored."""
    for kind in index.converting.get(event.name, ()):
        key = entity_key(event, kind)
        entity = None if key is None else entity_of(contact, kind.name, key)
        if key is None or entity is None:
            continue
        since = NEVER if entity.counted_at is None else entity.reversed_at or NEVER
        known = contact.memory.holds.get(hold.name, {}).get(key, HoldSpan())
        if hold.key is not None and hold.starts:
            # An event of the hold's own may have started it for this key.
            since = max(since, known.start)
        if since != known.start:
            contact.memory.holds.setdefault(hold.name, {})[key] = HoldSpan(NEVER, known.end)
            _start_hold(contact, hold.name, key, since)


def derive_track(contact: Contact) -> Track:
    """Return `customer` when a conversion counts, else `lead`."""
    memory = contact.memory
    is_customer = (
        memory.dropped_conversions
        or memory.net.get("@track", 0) > 0
        or any(record.counts for record in memory.conversions.values())
    )
    return "customer" if is_customer else "lead"


def move_track(contact: Contact, *, at: Instant, noticed_at: Instant, evidence: str) -> list[Transition]:
    """Set the contact's track by its conversions and return the change; the caller then calls `move_stage`.

    at: when the evidence occurred.
    """
    before, track = contact.track, derive_track(contact)
    if track == before:
        return []
    contact.track, contact.track_since = track, at
    return [Transition("track", before, track, at, noticed_at, evidence)]


def move_stage(
    contact: Contact, reading: Reading, *, at: Instant, evidence: str, playbook: Playbook
) -> list[Transition]:
    """Set the contact's stage to the furthest of its track whose `when` holds, and return the change.

    at: when the evidence occurred; the change is noticed at the instant of the reading.
    """
    stages = index_of(playbook).stages[contact.track]
    for stage in stages:
        if stage.when.truth(reading) is Truth.YES:
            break
    before = contact.stage
    if stage.name == before:
        return []
    contact.stage, contact.stage_since = stage.name, at
    is_forward = _order(before, playbook) < _order(stage.name, playbook)
    return [Transition("stage", before, stage.name, at, reading.now, evidence, is_forward=is_forward)]


def _order(stage: str, playbook: Playbook) -> int:
    """Return the place of a stage among the stages of both tracks, those of customers last; -1 for none."""
    order = [stage.name for track in ("lead", "customer") for stage in playbook.stages_of(track)]
    return order.index(stage) if stage in order else -1


def fold_milestones(
    contact: Contact, event: Event, playbook: Playbook, *, only: Collection[str] | None = None
) -> list[MilestoneReached]:
    """Record the milestones that this event reaches and return the new ones; each key is celebrated once.

    only: the milestones that it may reach; None: all.
    """
    reached: list[MilestoneReached] = []
    for milestone in index_of(playbook).milestones.get(event.name, ()):
        if (only is not None and milestone.name not in only) or not holds_for(milestone.of, event, playbook):
            continue
        known = contact.memory.milestones.setdefault(milestone.name, MilestoneCount())
        known.count += 1
        if milestone.nth is not None and known.count != milestone.nth:
            continue
        key = _milestone_key(milestone.per, event, contact, playbook)
        if key not in known.keys:
            known.keys = [*known.keys, key][-_KEYS_MAX:]
            reached.append(MilestoneReached(milestone.name, key, event.occurred_at))
    for effect in index_of(playbook).effects.get(event.name, ()):
        for milestone in index_of(playbook).entity_milestones.get(effect.kind.name, ()):
            if only is not None and milestone.name not in only:
                continue
            reached += _reach_by_entity(contact, event, milestone, effect.kind, playbook)
    return reached


def _reach_by_entity(
    contact: Contact, event: Event, milestone: Milestone, kind: EntityKind, playbook: Playbook
) -> list[MilestoneReached]:
    """Record a milestone over entities: the n-th that stands, or the event's own; each key is celebrated once."""
    known = contact.memory.milestones.setdefault(milestone.name, MilestoneCount())
    count = known.count = contact.memory.net.get(f"@milestone:{milestone.name}", 0)
    entity_name = entity_key(event, kind)
    if milestone.nth is not None or milestone.per in ("contact", "year"):
        if count < (milestone.nth or 1):
            return []
        key = _milestone_key(milestone.per, event, contact, playbook)
    else:
        entity = None if entity_name is None else entity_of(contact, kind.name, entity_name)
        fold = milestone_fold(milestone)
        if entity_name is None or entity is None or not shares_of(entity_name, entity, fold, kind, playbook):
            return []
        key = entity_name
    if key in known.keys:
        return []
    known.keys = [*known.keys, key][-_KEYS_MAX:]
    return [MilestoneReached(milestone.name, key, event.occurred_at)]


def _milestone_key(per: str, event: Event, contact: Contact, playbook: Playbook) -> str:
    if per == "contact":
        return ""
    if per == "year":
        return str(to_local(event.occurred_at, contact.zone or playbook.default_zone).year)
    return _key_property(event, per) or event.message_id


# ---- holds -----------------------------------------------------------------------------------------------


def _start_hold(contact: Contact, hold: str, key: str, at: Instant) -> None:
    spans = contact.memory.holds.setdefault(hold, {})
    span = spans.get(key, HoldSpan())
    spans[key] = HoldSpan(max(span.start, at), span.end)
    if len(spans) > _KEYS_MAX:
        # The end without a key is about all of them.
        keyed = spans.keys() - {_NO_KEY}
        del spans[min(keyed, key=lambda name: (max(spans[name]), name))]


def fold_holds(contact: Contact, event: Event, playbook: Playbook) -> None:
    """Record the starts and ends of holds; an end without the hold's key ends every start before it."""
    index = index_of(playbook)
    for hold, match in index.hold_starts.get(event.name, ()):
        if holds_for(match, event, playbook):
            _start_hold(contact, hold.name, _key_property(event, hold.key), event.occurred_at)
    for hold, match in index.hold_ends.get(event.name, ()):
        if holds_for(match, event, playbook):
            spans = contact.memory.holds.setdefault(hold.name, {})
            key = _key_property(event, hold.key)
            for name in {key} if key != _NO_KEY else {*spans, _NO_KEY}:
                span = spans.get(name, HoldSpan())
                spans[name] = HoldSpan(span.start, max(span.end, event.occurred_at))


def active_holds(contact: Contact, *, now: Instant, playbook: Playbook) -> list[ActiveHold]:
    """Return the holds in force at `now`, the longest lasting of each name."""
    active: list[ActiveHold] = []
    for name, spans in contact.memory.holds.items():
        hold = playbook.holds.get(name)
        if hold is None:
            continue
        # An end without a key may have come before a start that occurred earlier.
        ended_at = spans.get(_NO_KEY, HoldSpan()).end
        open_since = [
            start
            for start, end in spans.values()
            if start > max(end, ended_at) and start + hold.at_most > now
        ]
        if open_since:
            since = max(open_since)
            active.append(ActiveHold(hold, since, since + hold.at_most))
    return active


def shared_holds(since: Mapping[str, Instant], *, now: Instant, playbook: Playbook) -> list[ActiveHold]:
    """Return the holds in force that colleagues share. since: hold -> when the newest of theirs began."""
    known = [(playbook.holds[name], start) for name, start in since.items() if name in playbook.holds]
    return [
        ActiveHold(hold, start, start + hold.at_most, is_shared=True)
        for hold, start in known
        if start + hold.at_most > now
    ]
