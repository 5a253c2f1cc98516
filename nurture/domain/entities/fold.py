"""Folding an event into the entities that it opens, updates, closes, reverses or restores."""

from bisect import insort
from collections.abc import Collection, Iterator
from typing import Any

from nurture.domain.contact import Contact
from nurture.domain.entities.cancellations import note_cancellations
from nurture.domain.entities.lines import is_line_event, rows_of, update_lines
from nurture.domain.entities.reading import (
    SKU,
    currency_in,
    entity_key,
    first_key,
    mark_of,
    own_key,
    parent_key,
    price_of,
    quantity_of,
)
from nurture.domain.entities.refunds import refund_rank, totals_of
from nurture.domain.entities.settle import settle_kinds
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Effect, Index
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.memory import NO_STAMP, Closings, Entity, Memory, Refund, Worth
from nurture.domain.playbook import EntityKind, Playbook, Reversal
from nurture.domain.values import coerce

#: An entity holds this many fields and refunds.
_FIELDS_MAX = 60
_REFUNDS_MAX = 100
#: So many keys of closed entities are kept besides those of the entities that are kept.
_CLOSINGS_MAX = 200
#: More changes of an entity do not raise the number of its calendar entry.
_CHANGES_MAX = 500


def fold_entities(
    contact: Contact, event: Event, playbook: Playbook, index: Index, *, only: Collection[str] | None = None
) -> bool:
    """Fold the event into the entities it opens, updates, closes, reverses or restores; tell whether there was any.

    only: the kinds that it may change; None: all.
    """
    effects = index.effects.get(event.name)
    if effects is None:
        return False
    wanted = [effect for effect in effects if only is None or effect.kind.name in only]
    updated = {effect.kind.name for effect in wanted if _apply(contact, event, effect, playbook)}
    closed = {effect.kind.name for effect in wanted if event.name in effect.kind.closed_by}
    if updated or closed:
        settle_kinds(contact, updated, playbook, index, closed=closed)
    return bool(updated or closed)


def _apply(contact: Contact, event: Event, effect: Effect, playbook: Playbook) -> bool:
    """Fold the event into the entities of one kind; tell whether it did more than to close some."""
    kind, key, has_changed = effect.kind, entity_key(event, effect.kind), False
    if any(holds_for(match, event, playbook) for match in effect.of):
        counts = not kind.counts_from or any(holds_for(match, event, playbook) for match in effect.counts)
        if key is None and counts and effect.needs_no_key:
            key = event.message_id
        if key is not None:
            _update(_find_or_open(contact.memory, kind, key), event, kind, counts=counts)
            has_changed = True
    for reversal in effect.reversals:
        if key is not None and holds_for(reversal.match, event, playbook):
            _reverse(_find_or_open(contact.memory, kind, key), event, kind, reversal)
            has_changed = True
    if key is not None and any(holds_for(match, event, playbook) for match in effect.restores):
        _restore(_find_or_open(contact.memory, kind, key), event)
        has_changed = True
    is_closed = event.name in kind.closed_by
    if is_closed:
        _close(contact.memory, event, kind)
    if (has_changed or is_closed) and effect.in_calendar and key is not None:
        _note_change(contact.memory, kind, key, event.occurred_at)
    return has_changed


def _note_change(memory: Memory, kind: EntityKind, key: str, at: Instant) -> None:
    entity = memory.entities.get(kind.name, {}).get(key)
    if entity is not None and at not in entity.changes:
        insort(entity.changes, at)
        del entity.changes[:-_CHANGES_MAX]


def _find_or_open(memory: Memory, kind: EntityKind, key: str) -> Entity:
    known = memory.entities.setdefault(kind.name, {})
    entity = known.get(key)
    if entity is None:
        entity = known[key] = _unbury(memory, kind, key) or Entity(opened_at=FOREVER, touched_at=NEVER)
    return entity


def _unbury(memory: Memory, kind: EntityKind, key: str) -> Entity | None:
    """Return a dropped entity with the marks that were kept of it."""
    buried = memory.buried.get(kind.name)
    entity = buried.pop(mark_of(key), None) if buried else None
    if entity is not None and entity.closed_at is not None:
        by_key = memory.closings.setdefault(kind.name, Closings()).by_key
        by_key[key] = max(by_key.get(key, NEVER), entity.closed_at)
    return entity


def _update(entity: Entity, event: Event, kind: EntityKind, *, counts: bool) -> None:
    at, rule = event.occurred_at, kind.lines
    if counts:
        entity.counted_at = at if entity.counted_at is None else min(entity.counted_at, at)
    entity.opened_at = min(entity.opened_at, at)
    entity.touched_at = max(entity.touched_at, at)
    entity.newest[event.name] = max(entity.newest.get(event.name, NEVER), at)
    if kind.parent_keys:
        entity.parent = max(entity.parent, parent_key(event, kind) or "")
    _update_worth(entity, event, kind)
    # A dropped entity keeps no lines: what they add to facts is kept instead. A cart may be filled anew.
    if rule is not None and (entity.shares is None or rule.may_shrink):
        update_lines(entity, event, kind, replaces=not counts or not kind.counts_from)
    stamp = (at, event.message_id)
    for name in _own_fields(event, kind):
        if len(entity.stamps) >= _FIELDS_MAX and name not in entity.stamps:
            continue
        if stamp > entity.stamps.get(name, NO_STAMP):
            entity.fields[name], entity.stamps[name] = event.properties[name], stamp


def _own_fields(event: Event, kind: EntityKind) -> Iterator[str]:
    """Yield the properties that are fields of the entity: of an event about one line only its keys and the currency."""
    rule = kind.lines
    is_line = rule is not None and is_line_event(event, rule)
    for name in event.properties:
        if name == "currency":
            # One that names none leaves the one that was told.
            if currency_in(event.properties):
                yield name
        elif is_line and name not in kind.keys and name not in kind.parent_keys:
            continue
        elif rule is None or name != rule.source:
            yield name


def _update_worth(entity: Entity, event: Event, kind: EntityKind) -> None:
    if kind.amount is not None:
        entity.worth = _newest_worth(entity.worth, event, kind.amount)
    for name in totals_of(kind):
        if (total := _newest_worth(entity.totals.get(name), event, name)) is not None:
            entity.totals[name] = total


def _newest_worth(known: Worth | None, event: Event, name: str) -> Worth | None:
    amount: int | None = coerce(event.properties.get(name), "decimal")
    stamp = (not event.hint, event.occurred_at, event.message_id)
    if amount is None or (known is not None and stamp <= known.stamp):
        return known
    return Worth(stamp, amount, currency_in(event.properties))


def _close(memory: Memory, event: Event, kind: EntityKind) -> None:
    closings = memory.closings.setdefault(kind.name, Closings())
    key, parent, at = own_key(event, kind), parent_key(event, kind), event.occurred_at
    if kind.closed_by[event.name] == "key" and key is not None:
        by_key, restored = closings.by_key, _buried(memory, kind, key)
        by_key[key] = max(by_key.get(key, NEVER), at)
        if restored:
            _find_or_open(memory, kind, key)
        for oldest in sorted(by_key, key=lambda name: (by_key[name], name))[: -kind.keep - _CLOSINGS_MAX]:
            del by_key[oldest]
    elif kind.closed_by[event.name] == "key" and parent is not None:
        closings.by_parent[parent] = max(closings.by_parent.get(parent, NEVER), at)
        for oldest in sorted(closings.by_parent, key=lambda name: (closings.by_parent[name], name))[
            : -kind.keep - _CLOSINGS_MAX
        ]:
            del closings.by_parent[oldest]
    else:
        closings.all_at = max(closings.all_at, at)


def _buried(memory: Memory, kind: EntityKind, key: str) -> bool:
    return mark_of(key) in memory.buried.get(kind.name, ())


def _reverse(entity: Entity, event: Event, kind: EntityKind, reversal: Reversal) -> None:
    """Record a cancellation, or a refund under its key; the settling compares refunds with the total."""
    at, full = event.occurred_at, event.properties.get("full")
    entity.newest[event.name] = max(entity.newest.get(event.name, NEVER), at)
    if reversal.amount is None or full is True:
        note_cancellations(entity, [at])
        return
    amount: int | None = coerce(event.properties.get(reversal.amount), "decimal")
    of, (rows, value) = reversal.amount, _sent_back(event, kind)
    if amount is not None and value is not None and abs(amount) < value:
        # Less than the goods are worth: a part of the price is given back, and the goods stay.
        rows = {}
    if amount is None:
        # The price of goods is a part of the amount.
        of, amount = "", 0 if full is False and not rows else value
    key = first_key(event.properties, (reversal.key,)) if reversal.key is not None else None
    stamp = (at, event.message_id)
    refund = Refund(
        stamp,
        None if amount is None else abs(amount),
        currency_in(event.properties),
        {line: quantity_of(row) for line, row in rows.items()},
        of,
        cumulative=event.properties.get("cumulative") is True,
        skus={line: sku for line, row in rows.items() if (sku := first_key(row, SKU)) not in (None, line)},
    )
    _put_refund(entity, key or event.message_id, refund)


def _restore(entity: Entity, event: Event) -> None:
    entity.newest[event.name] = max(entity.newest.get(event.name, NEVER), event.occurred_at)
    entity.restored_at = max(entity.restored_at, event.occurred_at)


def _sent_back(event: Event, kind: EntityKind) -> tuple[dict[str, dict[str, Any]], int | None]:
    """Return the rows of a refund's own list by their keys, and what they cost; None when a price is missing."""
    rule = kind.lines
    if rule is None or not rule.source:
        return {}, None
    rows = rows_of(event.properties.get(rule.source), rule)
    prices = [price_of(row) for row in rows.values()]
    values = [
        price * quantity_of(row)
        for price, row in zip(prices, rows.values(), strict=True)
        if price is not None
    ]
    is_known = bool(rows) and len(values) == len(rows)
    return rows, sum(values) if is_known else None


def _put_refund(entity: Entity, key: str, refund: Refund) -> None:
    known = entity.refunds.get(key)
    if known is None and len(entity.refunds) >= _REFUNDS_MAX:
        return
    if known is None or refund_rank(refund) > refund_rank(known):
        entity.refunds[key] = refund
