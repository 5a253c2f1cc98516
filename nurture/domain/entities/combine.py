"""Combining the entities of two contacts that are one person: each key once, with the marks of both."""

from collections.abc import Mapping

from nurture.domain.contact import Contact
from nurture.domain.entities.cancellations import cancellations, note_cancellations
from nurture.domain.entities.dropped import TOTALS
from nurture.domain.entities.net_facts import compacted
from nurture.domain.entities.reading import mark_of
from nurture.domain.entities.refunds import refund_rank
from nurture.domain.entities.settle import settle_kinds
from nurture.domain.event_index import index_of
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import NO_STAMP, Entity, Memory, Worth
from nurture.domain.playbook import EntityKind, Playbook


def combine_entities(contact: Contact, added: Contact, playbook: Playbook) -> None:
    """Add the other contact's entities, in place, and settle the facts over them. Closings are combined before."""
    index = index_of(playbook)
    changed = [kind for kind in index.kinds if _has_any(added, kind.name)]
    for kind in changed:
        last = f"{kind.name}.last_at"
        if last in added.facts:
            contact.facts[last] = max(contact.facts.get(last, NEVER), added.facts[last])
        _combine_kind(contact.memory, added.memory, kind, playbook)
    settle_kinds(
        contact, [kind.name for kind in index.kinds if _has_any(contact, kind.name)], playbook, index
    )


def _has_any(contact: Contact, kind: str) -> bool:
    memory = contact.memory
    return any(kind in part for part in (memory.entities, memory.buried, memory.closings))


def _combine_kind(memory: Memory, added: Memory, kind: EntityKind, playbook: Playbook) -> None:
    known, buried = memory.entities.get(kind.name, {}), memory.buried.get(kind.name, {})
    added_buried = dict(added.buried.get(kind.name, {}))
    for key, entity in added.entities.get(kind.name, {}).items():
        mine = known.get(key) or buried.pop(mark_of(key), None)
        known[key] = entity if mine is None else _combined(mine, entity)
    if known:
        memory.entities[kind.name] = known
    for key, entity in known.items():
        if (dropped := added_buried.pop(mark_of(key), None)) is not None:
            known[key] = _combined(entity, dropped)
    if added_buried:
        buried = memory.buried.setdefault(kind.name, {})
    for mark, entity in added_buried.items():
        mine = buried.get(mark)
        buried[mark] = entity if mine is None else _combined(mine, entity)
        if mark == TOTALS and mine is not None:
            _add_totals(buried[mark], mine, entity, kind, playbook)
    _take_latest(memory.taken, added.taken, kind.name)
    marks = dict.fromkeys(
        [*memory.dropped_entities.get(kind.name, ()), *added.dropped_entities.get(kind.name, ())]
    )
    if marks:
        memory.dropped_entities[kind.name] = list(marks)


def _take_latest(
    taken: dict[str, dict[str, Instant]], added: Mapping[str, Mapping[str, Instant]], kind: str
) -> None:
    for key, at in added.get(kind, {}).items():
        mine = taken.setdefault(kind, {})
        mine[key] = max(mine.get(key, NEVER), at)


def _add_totals(totals: Entity, mine: Entity, added: Entity, kind: EntityKind, playbook: Playbook) -> None:
    """Add up the shares of two sums of dropped entities."""
    totals.shares = {}
    for fold in index_of(playbook).net_folds.get(kind.name, ()):
        shares = [*(mine.shares or {}).get(fold.name, ()), *(added.shares or {}).get(fold.name, ())]
        if shares:
            totals.shares[fold.name] = compacted(fold, shares)


def _combined(entity: Entity, added: Entity) -> Entity:
    """Return one entity with the marks, fields and lines of both."""
    # Of two, the one that still has its fields and lines says what the entity adds to facts.
    whole = next(
        (part for part in (entity, added) if part.shares is None and part.counted_at is not None), None
    )
    result = Entity(
        fields=dict(entity.fields),
        stamps=dict(entity.stamps),
        lines=dict(entity.lines),
        opened_at=min(entity.opened_at, added.opened_at),
        touched_at=max(entity.touched_at, added.touched_at),
        closed_at=_latest(entity.closed_at, added.closed_at),
        counted_at=_earliest(entity.counted_at, added.counted_at),
        restored_at=max(entity.restored_at, added.restored_at),
        refunds=dict(entity.refunds),
        reversed_at=_earliest(entity.reversed_at, added.reversed_at),
        worth=_newer(entity.worth, added.worth),
        totals=dict(entity.totals),
        listed_at=max(entity.listed_at, added.listed_at),
        newest={
            name: max(part.newest.get(name, NEVER) for part in (entity, added))
            for name in {**entity.newest, **added.newest}
        },
        changes=sorted({*entity.changes, *added.changes}),
        parent=max(entity.parent, added.parent),
        shares=None if whole is not None else entity.shares or added.shares,
    )
    note_cancellations(result, [*cancellations(entity), *cancellations(added)])
    for name, stamp in added.stamps.items():
        if stamp > result.stamps.get(name, NO_STAMP):
            result.stamps[name], result.fields[name] = stamp, added.fields[name]
    for key, line in added.lines.items():
        mine = result.lines.get(key)
        if mine is None or (not line.hint, line.stamp) > (not mine.hint, mine.stamp):
            result.lines[key] = line
    for key, refund in added.refunds.items():
        known = result.refunds.get(key)
        if known is None or refund_rank(refund) > refund_rank(known):
            result.refunds[key] = refund
    for name, total in added.totals.items():
        result.totals[name] = _newer(result.totals.get(name), total) or total
    return result


def _newer(worth: Worth | None, other: Worth | None) -> Worth | None:
    return max((part for part in (worth, other) if part), key=lambda part: part.stamp, default=None)


def _earliest(one: Instant | None, other: Instant | None) -> Instant | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _latest(one: Instant | None, other: Instant | None) -> Instant | None:
    return max((at for at in (one, other) if at is not None), default=None)
