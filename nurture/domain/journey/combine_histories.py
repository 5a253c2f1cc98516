"""Two folded pasts of one person become one, without their events.

Facts do not depend on the order in which events arrive, so the fold of all events is also the fold of two parts
put together: counts add, extremes stay extremes, the newest value wins by the same stamp. Needed where events
were removed for their age and only what they had made is kept (`journey.retention`); what the kept events say is
folded on top. Not exact where a fold forgets: beyond `keep` values of a set, an entity or a window the newest
stay, as they would have, but a key counted on both sides before it was forgotten counts twice.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.entities import mark_of, settle_entities
from nurture.domain.facts import LOCALE_SLOTS, ZONE_SLOTS, judge_verdict, reading
from nurture.domain.instant import NEVER, Instant
from nurture.domain.journey.position import move_stage, track_of
from nurture.domain.memory import (
    NO_STAMP,
    Closings,
    ConversionRecord,
    Entity,
    HoldSpan,
    MilestoneCount,
    Signs,
    ValueStamp,
)
from nurture.domain.playbook import EntityFact, FoldFact, Playbook, TraitFact, VerdictFact

_Choose = Callable[[Any, Any], Any]
_CHOICES: Final[Mapping[str, _Choose]] = {
    "count": lambda one, other: one + other,
    "sum": lambda one, other: one + other,
    "min": min,
    "first": min,
    "max": max,
    "last": max,
    "ever": lambda one, other: one or other,
}


def combine(one: Contact, other: Contact, playbook: Playbook) -> Contact:
    """Return what the events behind both would have made; `one` is changed in place, neither has runs."""
    at = max(one.clock, other.clock)
    one.first_seen_at = min(one.first_seen_at, other.first_seen_at)
    _take_newest(one, other, playbook)
    names = {"first_seen_at": min} | {
        name: _CHOICES[name.partition(":")[0]] for name in other.facts if ":" in name
    }
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact) and fact.fold in _CHOICES:
            names[fact.name] = _CHOICES[fact.fold]
    for name, choose in names.items():
        if name in other.facts:
            mine, theirs = one.facts.get(name), other.facts[name]
            one.facts[name] = theirs if mine is None else choose(mine, theirs)
    _combine_memory(one, other)
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact):
            _combine_fold(one, other, fact)
        elif isinstance(fact, EntityFact):
            _combine_entities(one, other, fact)
    for fact in playbook.facts.values():
        if isinstance(fact, VerdictFact):
            judge_verdict(one, fact)
    one.clock = at
    _place(one, other, playbook)
    return one


def _take_newest(one: Contact, other: Contact, playbook: Playbook) -> None:
    """Take over each value whose stamp is greater on the other side."""
    mine, theirs = one.memory.latest, other.memory.latest
    if _strength(theirs, ZONE_SLOTS) > _strength(mine, ZONE_SLOTS):
        one.zone = other.zone
    if _strength(theirs, LOCALE_SLOTS) > _strength(mine, LOCALE_SLOTS):
        one.locale = other.locale
    for slot, stamp in theirs.items():
        if slot in mine and mine[slot] >= stamp:
            continue
        mine[slot] = stamp
        if slot == "persona" or isinstance(playbook.facts.get(slot), TraitFact | FoldFact):
            one.facts.pop(slot, None)
            if slot in other.facts:
                one.facts[slot] = other.facts[slot]


def _strength(latest: Mapping[str, ValueStamp], slots: Sequence[str]) -> tuple[int, tuple[Any, ...]]:
    """Return the rank of the strongest of the slots that has a value, -1 for none, and the value's stamp."""
    for rank in reversed(range(len(slots))):
        if slots[rank] in latest:
            return rank, latest[slots[rank]]
    return -1, ()


def _combine_memory(one: Contact, other: Contact) -> None:
    """Join what the folds remember beside facts; entities, sets and `ever` have functions of their own."""
    mine, theirs = one.memory, other.memory
    for name, signs in theirs.signs.items():
        known = mine.signs.setdefault(name, Signs())
        known.note("yes", signs.yes)
        known.note("no", signs.no)
    for name, closings in theirs.closings.items():
        both = mine.closings.setdefault(name, Closings())
        both.all_at = max(both.all_at, closings.all_at)
        _greatest(both.by_key, closings.by_key)
    for name, their_spans in theirs.holds.items():
        spans = mine.holds.setdefault(name, {})
        for key, span in their_spans.items():
            before = spans.get(key, HoldSpan())
            spans[key] = HoldSpan(max(before.start, span.start), max(before.end, span.end))
    for name, milestone in theirs.milestones.items():
        total = mine.milestones.setdefault(name, MilestoneCount())
        total.count += milestone.count
        total.keys = list(dict.fromkeys([*total.keys, *milestone.keys]))
    for key, record in theirs.conversions.items():
        joined = mine.conversions.setdefault(key, ConversionRecord())
        joined.at = _earliest(joined.at, record.at)
        joined.reversed = joined.reversed or record.reversed
    mine.dropped_conversions += theirs.dropped_conversions
    mine.events_kept_from = _latest(mine.events_kept_from, theirs.events_kept_from)


def _greatest(mine: dict[str, Instant], theirs: Mapping[str, Instant]) -> None:
    for key, value in theirs.items():
        mine[key] = max(mine.get(key, NEVER), value)


def _earliest(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _latest(one: Instant | None, other: Instant | None) -> Instant | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _combine_fold(one: Contact, other: Contact, fact: FoldFact) -> None:
    name = fact.name
    if fact.fold == "set" and name in other.memory.sets:
        seen = one.memory.sets.setdefault(name, {})
        _greatest(seen, other.memory.sets[name])
        newest = sorted(seen, key=lambda value: (seen[value], value))[-fact.keep :]
        one.memory.sets[name] = {value: seen[value] for value in newest}
        one.facts[name] = newest
    elif fact.fold == "window" and name in other.facts:
        instants = sorted([*one.facts.get(name, ()), *other.facts[name]])
        one.facts[name] = [at for at in instants if at > instants[-1] - fact.within][-fact.keep :]
    elif fact.fold == "ever":
        _combine_ever(one, other, fact)


def _combine_ever(one: Contact, other: Contact, fact: FoldFact) -> None:
    kept = one.memory.ever
    if one.facts.get(fact.name):
        kept.pop(fact.name, None)
        return
    instants = list(kept.get(fact.name, ()))
    for at in other.memory.ever.get(fact.name, ()):
        insort(instants, at)
    spans = zip(instants, instants[fact.at_least - 1 :], strict=False)
    if instants and any(late - early <= (fact.within or late - early) for early, late in spans):
        one.facts[fact.name] = True
        kept.pop(fact.name, None)
    elif instants:
        kept[fact.name] = instants[-fact.keep :]


def _combine_entities(one: Contact, other: Contact, fact: EntityFact) -> None:
    theirs = other.memory.entities.get(fact.name, {})
    ever = f"{fact.name}.ever"
    if not theirs and ever not in other.facts and fact.name not in other.memory.closings:
        return
    mine = one.memory.entities.setdefault(fact.name, {})
    dropped, their_dropped = (part.memory.dropped_entities.get(fact.name, []) for part in (one, other))
    both = {*map(mark_of, mine), *dropped} & {*map(mark_of, theirs), *their_dropped}
    if ever in one.facts or ever in other.facts:
        one.facts[ever] = one.facts.get(ever, 0) + other.facts.get(ever, 0) - len(both)
    if their_dropped:
        one.memory.dropped_entities[fact.name] = list(dict.fromkeys([*dropped, *their_dropped]))
    for key, entity in theirs.items():
        mine[key] = _one_entity(mine[key], entity) if key in mine else entity
    last = f"{fact.name}.last_at"
    if last in other.facts:
        one.facts[last] = max(one.facts.get(last, NEVER), other.facts[last])
    settle_entities(one, fact)


def _one_entity(mine: Entity, theirs: Entity) -> Entity:
    for name, stamp in theirs.stamps.items():
        if stamp > mine.stamps.get(name, NO_STAMP):
            mine.stamps[name], mine.fields[name] = stamp, theirs.fields[name]
    for key, line in theirs.lines.items():
        if key not in mine.lines or line.stamp > mine.lines[key].stamp:
            mine.lines[key] = line
    mine.opened_at = min(mine.opened_at, theirs.opened_at)
    mine.touched_at = max(mine.touched_at, theirs.touched_at)
    return mine


def _place(one: Contact, other: Contact, playbook: Playbook) -> None:
    """Put the contact where all of it together belongs; since when is the earlier of those who were there."""
    parts = [(part.track, part.track_since, part.stage, part.stage_since) for part in (one, other)]
    one.track = track_of(one)
    one.track_since = _since((since for track, since, *_ in parts if track == one.track), one.clock)
    # Anything not of this track's stages: the move is made and its instant is set below.
    move_stage(one, reading(one, playbook, now=one.clock), at=one.clock, evidence="", playbook=playbook)
    there = (since for track, _, stage, since in parts if (track, stage) == (one.track, one.stage))
    one.stage_since = _since(there, one.clock)


def _since(found: Iterable[int], otherwise: int) -> int:
    return min(found, default=otherwise)
