"""Combining two contacts' facts and memory into one without their events.

Facts do not depend on the order in which events arrive, so the fold of all events equals the folds of two parts
combined: counts add, extremes stay extremes, the newest value wins by the same stamp. This is needed where events
were removed for their age and only their results are kept (`journey.retention`); the kept events are folded on
top. The result is not exact where a fold forgets: of a set, an entity or a window only the newest `keep` values
stay, and a key that both parts counted before they forgot it counts twice.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from nurture.domain.accounts import combine_accounts
from nurture.domain.consent.events import combine_consents, combine_unknown_topics
from nurture.domain.contact import Contact
from nurture.domain.entities.combine import combine_entities
from nurture.domain.event_index import index_of
from nurture.domain.facts import LOCALE_SLOTS, ZONE_SLOTS, judge_verdict, reading
from nurture.domain.instant import NEVER, Instant
from nurture.domain.journey.person_requests import combine_requests
from nurture.domain.journey.position import derive_track, move_stage
from nurture.domain.labels import combine_labels, settle_label_defaults
from nurture.domain.memory import (
    Closings,
    ConversionRecord,
    HoldSpan,
    Memory,
    MilestoneCount,
    Signs,
    ValueStamp,
)
from nurture.domain.playbook import FoldFact, Playbook, TraitFact, VerdictFact
from nurture.domain.referral import REFERRER, combine_referrals

_Combine = Callable[[Any, Any], Any]
#: Fold -> the function that combines two of its values.
_COMBINE_VALUES: Final[Mapping[str, _Combine]] = {
    "count": lambda value, added: value + added,
    "sum": lambda value, added: value + added,
    "min": min,
    "first": min,
    "max": max,
    "last": max,
    "ever": lambda value, added: value or added,
}


def combine_histories(contact: Contact, added: Contact, playbook: Playbook) -> Contact:
    """Return the contact that the events of both would make; `contact` is changed in place, neither has runs."""
    clock = max(contact.clock, added.clock)
    # (track, since, stage, since) of each part.
    places = [(part.track, part.track_since, part.stage, part.stage_since) for part in (contact, added)]
    contact.first_seen_at = min(contact.first_seen_at, added.first_seen_at)
    _copy_newer_values(contact, added, playbook)
    _combine_scalars(contact, added, playbook)
    _combine_memory(contact.memory, added.memory)
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact) and not fact.over:
            _combine_fold(contact, added, fact)
    combine_entities(contact, added, playbook)
    combine_labels(contact, added, playbook)
    combine_accounts(contact, added)
    combine_referrals(contact, added, is_taken=REFERRER in playbook.facts)
    combine_unknown_topics(contact, added)
    for fact in playbook.facts.values():
        if isinstance(fact, VerdictFact):
            judge_verdict(contact, fact)
    contact.clock = clock
    _set_track_and_stage(contact, places, playbook)
    settle_label_defaults(contact, index_of(playbook))
    return contact


def _copy_newer_values(contact: Contact, added: Contact, playbook: Playbook) -> None:
    """Copy each value whose stamp is greater in `added`."""
    stamps, added_stamps = contact.memory.latest, added.memory.latest
    if _strongest_slot(added_stamps, ZONE_SLOTS) > _strongest_slot(stamps, ZONE_SLOTS):
        contact.zone = added.zone
    if _strongest_slot(added_stamps, LOCALE_SLOTS) > _strongest_slot(stamps, LOCALE_SLOTS):
        contact.locale = added.locale
    for slot, stamp in added_stamps.items():
        if slot in stamps and stamps[slot] >= stamp:
            continue
        stamps[slot] = stamp
        if slot == "persona" or isinstance(playbook.facts.get(slot), TraitFact | FoldFact):
            contact.facts.pop(slot, None)
            if slot in added.facts:
                contact.facts[slot] = added.facts[slot]


def _strongest_slot(latest: Mapping[str, ValueStamp], slots: Sequence[str]) -> tuple[int, tuple[Any, ...]]:
    """Return the rank of the strongest of the slots that has a value, -1 for none, and the value's stamp."""
    for rank in reversed(range(len(slots))):
        if slots[rank] in latest:
            return rank, latest[slots[rank]]
    return -1, ()


def _combine_scalars(contact: Contact, added: Contact, playbook: Playbook) -> None:
    """Combine the facts that are one number, one instant or one yes, by the rule of their fold."""
    functions: dict[str, _Combine] = {"first_seen_at": min} | {
        name: _COMBINE_VALUES[name.partition(":")[0]] for name in added.facts if ":" in name
    }
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact) and not fact.over and fact.fold in _COMBINE_VALUES:
            functions[fact.name] = _COMBINE_VALUES[fact.fold]
    for name, combine_values in functions.items():
        if name in added.facts:
            value, added_value = contact.facts.get(name), added.facts[name]
            contact.facts[name] = added_value if value is None else combine_values(value, added_value)


def _combine_memory(memory: Memory, added: Memory) -> None:
    """Combine requests, signs, closings, holds, milestones and conversions, in place."""
    combine_requests(memory, added)
    for name, added_signs in added.signs.items():
        signs = memory.signs.setdefault(name, Signs())
        signs.note("yes", added_signs.yes)
        signs.note("no", added_signs.no)
    for name, added_closings in added.closings.items():
        closings = memory.closings.setdefault(name, Closings())
        closings.all_at = max(closings.all_at, added_closings.all_at)
        _keep_latest(closings.by_key, added_closings.by_key)
        _keep_latest(closings.by_parent, added_closings.by_parent)
    combine_consents(memory.consents, added.consents)
    for name, added_spans in added.holds.items():
        spans = memory.holds.setdefault(name, {})
        for key, added_span in added_spans.items():
            span = spans.get(key, HoldSpan())
            spans[key] = HoldSpan(max(span.start, added_span.start), max(span.end, added_span.end))
    for name, added_count in added.milestones.items():
        milestone = memory.milestones.setdefault(name, MilestoneCount())
        milestone.count += added_count.count
        milestone.keys = list(dict.fromkeys([*milestone.keys, *added_count.keys]))
    for key, added_record in added.conversions.items():
        record = memory.conversions.setdefault(key, ConversionRecord())
        record.at = min(_known(record.at, added_record.at), default=None)
        record.reversed = record.reversed or added_record.reversed
    memory.dropped_conversions += added.dropped_conversions
    memory.events_kept_from = max(_known(memory.events_kept_from, added.events_kept_from), default=None)


def _keep_latest(instants: dict[str, Instant], added: Mapping[str, Instant]) -> None:
    """Set each key to the later of both instants."""
    for key, instant in added.items():
        instants[key] = max(instants.get(key, NEVER), instant)


def _known(*instants: Instant | None) -> list[Instant]:
    return [instant for instant in instants if instant is not None]


def _combine_fold(contact: Contact, added: Contact, fact: FoldFact) -> None:
    """Combine a set, a window or an `ever` that is not true yet."""
    name = fact.name
    if fact.fold == "set" and name in added.memory.sets:
        seen_at = contact.memory.sets.setdefault(name, {})
        _keep_latest(seen_at, added.memory.sets[name])
        newest = sorted(seen_at, key=lambda value: (seen_at[value], value))[-fact.keep :]
        contact.memory.sets[name] = {value: seen_at[value] for value in newest}
        contact.facts[name] = newest
    elif fact.fold == "window" and name in added.facts:
        instants = sorted([*contact.facts.get(name, ()), *added.facts[name]])
        contact.facts[name] = [at for at in instants if at > instants[-1] - fact.within][-fact.keep :]
    elif fact.fold == "ever":
        _combine_ever(contact, added, fact)


def _combine_ever(contact: Contact, added: Contact, fact: FoldFact) -> None:
    kept = contact.memory.ever
    if contact.facts.get(fact.name):
        kept.pop(fact.name, None)
        return
    instants = list(kept.get(fact.name, ()))
    for at in added.memory.ever.get(fact.name, ()):
        insort(instants, at)
    spans = zip(instants, instants[fact.at_least - 1 :], strict=False)
    if instants and any(late - early <= (fact.within or late - early) for early, late in spans):
        contact.facts[fact.name] = True
        kept.pop(fact.name, None)
    elif instants:
        kept[fact.name] = instants[-fact.keep :]


def _set_track_and_stage(
    contact: Contact, places: Sequence[tuple[str, Instant, str, Instant]], playbook: Playbook
) -> None:
    """Set track and stage by the combined facts, each since the earliest part that had it."""
    contact.track = derive_track(contact)
    contact.track_since = _earliest(
        (since for track, since, *_ in places if track == contact.track), contact.clock
    )
    move_stage(
        contact,
        reading(contact, playbook, now=contact.clock),
        at=contact.clock,
        evidence="",
        playbook=playbook,
    )
    at_stage = (
        since for track, _, stage, since in places if (track, stage) == (contact.track, contact.stage)
    )
    contact.stage_since = _earliest(at_stage, contact.clock)


def _earliest(instants: Iterable[Instant], otherwise: Instant) -> Instant:
    return min(instants, default=otherwise)
