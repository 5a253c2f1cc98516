"""Carrying a folded history over to changed definitions, where its events were removed and cannot be folded again.

A fact over entities keeps the value that it had by the older definition: whatever the known entities do not explain
is added as one sum, which no reversal takes back.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nurture.domain.contact import Contact
from nurture.domain.entities.dropped import TOTALS
from nurture.domain.entities.net_facts import compacted
from nurture.domain.entities.reading import currency_in
from nurture.domain.entities.refunds import totals_of
from nurture.domain.entities.settle import settle_kinds
from nurture.domain.event_index import index_of
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.memory import Entity, Share, Worth
from nurture.domain.playbook import EntityKind, FoldFact, Playbook
from nurture.domain.values import coerce


def carry_over(contact: Contact, playbook: Playbook) -> None:
    """Give a contact that other definitions folded, in place, its entities and facts by this playbook's."""
    index = index_of(playbook)
    kinds = [kind for kind in index.kinds if not kind.lines_of]
    before = dict(contact.facts)
    for kind in kinds:
        for entity in contact.memory.entities.get(kind.name, {}).values():
            _complete(entity, kind)
    converted = _take_conversions(contact, playbook)
    settle_kinds(contact, [kind.name for kind in kinds if _is_known(contact, kind.name)], playbook, index)
    folds = {fold.name: fold for kind in kinds for fold in index.net_folds.get(kind.name, ())}
    for fold in folds.values():
        shares = list(_unexplained(contact, fold, before, playbook))
        if fold.name == "@track" and converted:
            shares.append((contact.clock, converted, ""))
        if shares:
            _add(contact, fold, shares)
    settle_kinds(contact, [kind.name for kind in kinds if _is_known(contact, kind.name)], playbook, index)


def _is_known(contact: Contact, kind: str) -> bool:
    memory = contact.memory
    return any(kind in part for part in (memory.entities, memory.buried, memory.closings))


def _complete(entity: Entity, kind: EntityKind) -> None:
    """Add the marks that an older version did not keep."""
    for line in entity.lines.values():
        line.removed = line.removed or not line.present
    amount = coerce(entity.fields.get(kind.amount), "decimal") if kind.amount is not None else None
    if entity.worth is None and amount is not None:
        entity.worth = Worth(amount=amount, currency=currency_in(entity.fields))
    for name in totals_of(kind):
        total = coerce(entity.fields.get(name), "decimal")
        # Told together with the amount; of another event it may be out of date.
        if total is not None and entity.stamps.get(name) == entity.stamps.get(kind.amount or name):
            worth = entity.worth or Worth()
            entity.totals.setdefault(name, Worth(worth.stamp, total, worth.currency))
    if not kind.counts_from and entity.counted_at is None and entity.shares is None:
        entity.counted_at = entity.opened_at if entity.touched_at > NEVER else None


def _take_conversions(contact: Contact, playbook: Playbook) -> int:
    """Move conversions to the entities of their key; return how many of them count and have no entity."""
    memory = contact.memory
    converting = [match.kind for match in playbook.conversion.over]
    if not converting or playbook.conversion.by:
        return 0
    count, memory.dropped_conversions = memory.dropped_conversions, 0
    for key, record in memory.conversions.items():
        owners = [memory.entities[kind][key] for kind in converting if key in memory.entities.get(kind, {})]
        for entity in owners[:1]:
            entity.counted_at = min(record.at or entity.opened_at, entity.counted_at or FOREVER)
            if record.reversed:
                entity.cancelled_at = entity.cancelled_at or contact.clock
        count += record.counts and not owners
    memory.conversions = {}
    return count


def _unexplained(
    contact: Contact, fold: FoldFact, before: dict[str, Any], playbook: Playbook
) -> Iterator[Share]:
    """Yield what the fact had before and the known entities do not give it now."""
    milestone = contact.memory.milestones.get(fold.name.removeprefix("@milestone:"))
    if milestone is not None and fold.name.startswith("@"):
        yield from _rest(contact, fold, milestone.count, contact.memory.net.get(fold.name), "")
    elif not fold.money:
        yield from _rest(contact, fold, before.get(fold.name), contact.facts.get(fold.name), "")
    for place, currency in enumerate(_currencies(playbook) if fold.money else ()):
        name = f"{fold.name}.{currency}" if currency else fold.name
        # A sum over events had one name, and the brand's first currency.
        value = before.get(name, before.get(fold.name) if place == 0 else None)
        yield from _rest(contact, fold, value, contact.facts.get(name), currency)


def _currencies(playbook: Playbook) -> Sequence[str]:
    return playbook.currencies or ("",)


def _rest(contact: Contact, fold: FoldFact, value: Any, known: Any, label: str) -> Iterator[Share]:
    """Yield the part of a value that is not known from entities. value: as the fact was stored."""
    at: Instant = contact.clock
    if isinstance(value, list):
        seen = contact.memory.sets.get(fold.name, {})
        for item in value:
            if item not in (known or ()):
                yield (seen.get(item, at), item, label) if fold.fold == "set" else (item, 1, label)
    elif value is None or value == known or not isinstance(value, int | str):
        return
    elif fold.fold in ("count", "sum"):
        if isinstance(value, int) and value > (known or 0):
            yield at, value - (known or 0), label
    elif fold.fold in ("first", "last"):
        yield int(value), 1, label
    elif fold.fold == "ever":
        yield from ((at, 1, label) for _ in range(fold.at_least) if value is True)
    else:
        yield contact.memory.latest.get(fold.name, (at, "", ""))[0], value, label


def _add(contact: Contact, fold: FoldFact, shares: list[Share]) -> None:
    buried = contact.memory.buried.setdefault(fold.over[0].kind, {})
    totals = buried.setdefault(TOTALS, Entity(opened_at=FOREVER, touched_at=NEVER, shares={}))
    totals.counted_at = totals.counted_at or contact.clock
    totals.shares = totals.shares or {}
    totals.shares[fold.name] = compacted(fold, [*totals.shares.get(fold.name, ()), *shares])
