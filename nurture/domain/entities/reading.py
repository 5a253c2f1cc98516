"""Reading entities: their keys, marks and lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import Entity, EntityLine, Refund
from nurture.domain.playbook import EntityKind, LineRule
from nurture.domain.values import coerce, key_text

_CURRENCY_MAX: Final = 8
#: The property that names goods to sources that do not know the product's key.
SKU: Final = ("sku",)

# ---- keys ------------------------------------------------------------------------------------------------


def entity_key(event: Event, kind: EntityKind) -> str | None:
    """Return the key of the entity that the event is about: its own, else its parent's; None for none."""
    return own_key(event, kind) or parent_key(event, kind)


def own_key(event: Event, kind: EntityKind) -> str | None:
    """Return the key that the event names the entity itself by."""
    return first_key(event.properties, kind.keys)


def parent_key(event: Event, kind: EntityKind) -> str | None:
    """Return the key of the entity that it is a part of."""
    return first_key(event.properties, kind.parent_keys) if kind.parent_keys else None


def first_key(values: Any, names: Iterable[str]) -> str | None:
    """Return the first of these values that can be a key, as text."""
    for name in names:
        if (key := key_text(values.get(name))) is not None:
            return key
    return None


def mark_of(key: str) -> str:
    """Return what is kept of the key of a dropped entity, so that a late event does not count it again."""
    return blake2b(key.encode(), digest_size=4).hexdigest()


def entity_of(contact: Contact, kind: str, key: str) -> Entity | None:
    """Return the entity of that key, dropped ones included; for a parent's key its newest part; None for none."""
    memory = contact.memory
    known = memory.entities.get(kind)
    if known and (entity := known.get(key)) is not None and not entity.replaced:
        return entity
    buried = memory.buried.get(kind)
    if buried and (entity := buried.get(mark_of(key))) is not None:
        return entity
    parts = [part for part in (known or {}).values() if part.parent == key and not part.replaced]
    return max(parts, key=lambda part: (part.touched_at, part.opened_at)) if key and parts else None


def is_outdated(contact: Contact, event: Event, kind: EntityKind) -> bool:
    """Tell whether a newer event of the same name about the same entity was folded."""
    key = entity_key(event, kind)
    entity = None if key is None else entity_of(contact, kind.name, key)
    if entity is not None and entity.newest.get(event.name, NEVER) > event.occurred_at:
        return True
    closings = contact.memory.closings.get(kind.name)
    if key is None or closings is None or kind.closed_by.get(event.name) != "key":
        return False
    return closings.by_key.get(key, NEVER) > event.occurred_at


# ---- marks -----------------------------------------------------------------------------------------------


def counted_at(entity: Entity) -> Instant | None:
    """Return since when the entity counts; None when only other events about it are known."""
    return entity.counted_at


def is_reversed(entity: Entity) -> bool:
    """Tell whether the entity was taken back in full, or its parent was."""
    return entity.reversed_at is not None


def is_closed(entity: Entity) -> bool:
    """Tell whether the entity was closed."""
    return entity.closed_at is not None


def is_empty(entity: Entity, kind: EntityKind) -> bool:
    """Tell whether the entity has a list from which lines go one by one, and none is left."""
    if kind.lines is None or not kind.lines.may_shrink:
        return False
    for line in entity.lines.values():  # noqa: SIM110 - a generator takes twice as long
        if line.present:
            return False
    return True


def is_open(entity: Entity, kind: EntityKind) -> bool:
    """Tell whether the entity is neither closed nor reversed nor empty, and did not rest for too long."""
    return (
        entity.closed_at is None
        and not entity.resting
        and entity.reversed_at is None
        and not entity.replaced
        and entity.touched_at > NEVER
        and not is_empty(entity, kind)
    )


def sequence_of(entity: Entity) -> int:
    """Return the number of a calendar entry about the entity: 0 at first, higher after each of its later events."""
    return max(len(entity.changes) - 1, 0)


# ---- lines -----------------------------------------------------------------------------------------------


def line_keys(entity: Entity) -> list[str]:
    """Return the keys of the lines that are in the entity's list now."""
    return [key for key, line in entity.lines.items() if line.present]


def line_key(row: Any, rule: LineRule) -> str | None:
    """Return the key of a line's properties."""
    return first_key(row, rule.keys)


def quantity_of(row: Any) -> int:
    """Return the quantity of a line's properties; 1 where none is given."""
    quantity: int | None = coerce(row.get("quantity"), "integer")
    return 1 if quantity is None else max(quantity, 0)


def currency_in(values: Any) -> str:
    """Return the currency that these properties name, in capitals; "" for none, which null and numbers are too."""
    currency = values.get("currency")
    return currency.strip().upper()[:_CURRENCY_MAX] if isinstance(currency, str) else ""


def price_of(row: Any) -> int | None:
    """Return the price of one piece, in hundredths."""
    price: int | None = coerce(row.get("price"), "decimal")
    return price


def skus_of(line: EntityLine) -> list[str]:
    """Return the skus of a line's goods."""
    sku = first_key(line.fields, SKU)
    return line.skus if sku is None else [sku, *line.skus]


def returned_line(entity: Entity, refund: Refund, key: str) -> str:
    """Return the key of the line that a refund's line is about; either may know the goods by their sku alone."""
    line = entity.lines.get(key)
    if line is not None and line.present:
        return key
    names = {key, refund.skus.get(key, key)}
    present = ((known, line) for known, line in entity.lines.items() if line.present)
    return next((known for known, line in present if names & {known, *skus_of(line)}), key)


def net_quantity(entity: Entity, key: str, line: EntityLine) -> int:
    """Return how many pieces of a line were not sent back."""
    quantity = quantity_of(line.fields)
    if entity.refunds:
        single = cumulative = 0
        for refund in entity.refunds.values():
            of_line = [named for named in refund.lines if returned_line(entity, refund, named) == key]
            returned = sum(refund.lines[named] for named in of_line)
            if refund.cumulative:
                cumulative = max(cumulative, returned)
            else:
                single += returned
        quantity -= max(single, cumulative)
    return max(quantity, 0)


def net_lines(entity: Entity) -> Iterator[tuple[str, EntityLine, int]]:
    """Yield (key, line, quantity) of the lines that are in the list and were not sent back."""
    for key, line in entity.lines.items():
        if line.present:
            quantity = net_quantity(entity, key, line)
            if quantity:
                yield key, line, quantity


def text_at_hand(
    name: str,
    fields: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    read: Callable[[Any], str | None] = lambda value: coerce(value, "text"),
) -> str | None:
    """Return the text of a property: the entity's own, else that of its largest line, else that of the event.

    fields: of the entity, with its `lines`. read: turns a value into a text.
    """
    lines = fields.get("lines")
    ordered = sorted(lines, key=_cost_of, reverse=True) if isinstance(lines, list) else []
    texts = (read(part.get(name)) for part in (fields, *ordered, event))
    return next((text for text in texts if isinstance(text, str)), None)


def _cost_of(line: Mapping[str, Any]) -> int:
    """Return what a line costs: price x quantity."""
    quantity = coerce(line.get("quantity"), "integer")
    return (price_of(line) or 0) * (quantity if isinstance(quantity, int) else 1)
