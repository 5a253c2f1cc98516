"""Dropping the oldest entities: what is kept of them, so that a late event neither re-opens nor counts one again.

Its marks, its amount and what it adds to each fact stay under a mark of its key, so its reversal still takes it out
of the facts. The oldest of these marks are added up.
"""

from typing import Final

from nurture.domain.entities.lines import note_bought
from nurture.domain.entities.net_facts import compacted, shares_of
from nurture.domain.entities.reading import currency_in, mark_of
from nurture.domain.entities.refunds import gross_amount
from nurture.domain.event_index import index_of
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.memory import Entity, Memory, Share, Worth
from nurture.domain.playbook import EntityKind, Playbook

#: So many dropped entities keep a mark of their own, and so many their mark in the form of the version before.
_BURIED_MAX: Final = 400
_GONE_MAX: Final = 200
#: So many bought lines of dropped entities are kept.
_TAKEN_MAX: Final = 400
#: The mark of those that are added up.
TOTALS: Final = ""


def drop_oldest(memory: Memory, kind: EntityKind, playbook: Playbook) -> bool:
    """Drop entities beyond `keep`: those that are done first, then the oldest; tell whether there were any."""
    known = memory.entities[kind.name]
    if len(known) <= kind.keep:
        return False
    order = sorted(known, key=lambda key: (not _is_done(known[key]), seen_at(known[key]), key))
    for key in order[: len(known) - kind.keep]:
        _bury(memory, kind, key, known.pop(key), playbook)
    return True


def _is_done(entity: Entity) -> bool:
    return entity.closed_at is not None or entity.reversed_at is not None or entity.replaced


def seen_at(entity: Entity) -> Instant:
    """Return the instant of the newest event about the entity, reversals included."""
    if entity.touched_at > NEVER:
        return entity.touched_at
    return max(entity.newest.values(), default=NEVER)


def _bury(memory: Memory, kind: EntityKind, key: str, entity: Entity, playbook: Playbook) -> None:
    mark, buried = mark_of(key), memory.buried.setdefault(kind.name, {})
    marks = dict.fromkeys([*memory.dropped_entities.get(kind.name, ()), mark])
    memory.dropped_entities[kind.name] = list(marks)[-_GONE_MAX:]
    is_closed_by_key = kind.name in memory.closings and key in memory.closings[kind.name].by_key
    amount, worth = gross_amount(entity, kind), entity.worth
    if worth is None and amount is not None:
        worth = Worth(amount=amount)
    if worth is not None and not worth.currency:
        # The fields, which may name it, are dropped.
        worth = Worth(worth.stamp, worth.amount, currency_in(entity.fields))
    rest = Entity(
        opened_at=entity.opened_at,
        touched_at=entity.touched_at,
        closed_at=entity.closed_at if is_closed_by_key else None,
        counted_at=entity.counted_at,
        cancelled_at=entity.cancelled_at,
        cancelled_again_at=entity.cancelled_again_at,
        cancellations=entity.cancellations,
        restored_at=entity.restored_at,
        refunds=entity.refunds,
        reversed_at=entity.reversed_at,
        worth=worth,
        totals=entity.totals,
        newest=entity.newest,
        changes=entity.changes,
        parent=entity.parent,
        replaced=entity.replaced,
        shares=entity.shares,
    )
    if entity.counted_at is not None:
        if rest.shares is None:
            rest.shares = _shares(key, entity, kind, playbook)
        _note_taken(memory, kind, entity, playbook)
    buried[mark] = rest
    if len(buried) > _BURIED_MAX:
        _add_up_oldest(buried, kind, playbook)


def _shares(key: str, entity: Entity, kind: EntityKind, playbook: Playbook) -> dict[str, list[Share]]:
    """Return what the entity adds to each fact while it stands."""
    reversed_at, entity.reversed_at = entity.reversed_at, None
    folds = index_of(playbook).net_folds.get(kind.name, ())
    shares = {fold.name: list(shares_of(key, entity, fold, kind, playbook)) for fold in folds}
    entity.reversed_at = reversed_at
    return {name: some for name, some in shares.items() if some}


def _note_taken(memory: Memory, kind: EntityKind, entity: Entity, playbook: Playbook) -> None:
    """Keep which lines a dropped entity takes out of the lists of other kinds."""
    for cart in index_of(playbook).kinds:
        if cart.lines is not None and kind.name in cart.lines.removed_by_kinds:
            taken = memory.taken.setdefault(cart.name, {})
            note_bought(taken, entity, entity.counted_at or NEVER)
            for oldest in sorted(taken, key=lambda key: (taken[key], key))[:-_TAKEN_MAX]:
                del taken[oldest]


def _add_up_oldest(buried: dict[str, Entity], kind: EntityKind, playbook: Playbook) -> None:
    """Add the shares of the oldest dropped entity to those of the ones before it, and forget its key."""
    mark = min((mark for mark in buried if mark != TOTALS), key=lambda mark: (seen_at(buried[mark]), mark))
    oldest = buried.pop(mark)
    totals = buried.setdefault(TOTALS, Entity(opened_at=FOREVER, touched_at=NEVER))
    if oldest.counted_at is None or oldest.reversed_at is not None:
        return
    totals.counted_at = min(totals.counted_at or FOREVER, oldest.counted_at)
    totals.shares = totals.shares or {}
    for fold in index_of(playbook).net_folds.get(kind.name, ()):
        found = shares_of(mark, oldest, fold, kind, playbook)
        if found:
            totals.shares[fold.name] = compacted(fold, [*totals.shares.get(fold.name, ()), *found])
