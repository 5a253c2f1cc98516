"""Lines of entities: what events put into a list, and which lines are in it now."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from nurture.domain.entities.reading import SKU, first_key, line_key, quantity_of, skus_of
from nurture.domain.event import Event
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import Closings, Entity, EntityLine, Memory
from nurture.domain.playbook import EntityKind, LineRule

#: An entity holds this many lines, a line this many properties, and a property so long a text.
_LINES_MAX: Final = 50
_FIELDS_MAX: Final = 30
_TEXT_MAX: Final = 1_000
#: A line has so many skus beside the first.
_SKUS_MAX: Final = 10
_NOTHING: Final[Mapping[str, Instant]] = {}
#: The property that names a line to sources that know neither the product's key nor its sku.
_NAME: Final = ("name",)
#: Among bought lines: all of them. No line has this key.
EVERYTHING: Final = ""


def is_line_event(event: Event, rule: LineRule) -> bool:
    """Tell whether the event adds or removes one line."""
    return event.name in rule.added_by or event.name in rule.removed_by


def update_lines(entity: Entity, event: Event, kind: EntityKind, *, replaces: bool) -> None:
    """Take over the lines that the event gives. replaces: a list of it takes the place of what was told before it."""
    rule = kind.lines
    if rule is None:
        return
    if is_line_event(event, rule):
        key = line_key(event.properties, rule)
        if key is not None:
            _put_one(entity, key, event, removed=event.name in rule.removed_by)
    elif rule.source:
        rows = _rows(event, kind, rule)
        if not rows:
            return
        skus = _further_skus(event.properties.get(rule.source), rule)
        for key, row in rows.items():
            _put_listed(entity, key, event, row, skus.get(key, []))
        since = event.occurred_at if replaces else NEVER
        entity.listed_at = max(entity.listed_at, (not event.hint, since))
    if len(entity.lines) > _LINES_MAX:
        order = sorted(entity.lines, key=lambda key: (entity.lines[key].stamp, key))
        for key in order[:-_LINES_MAX]:
            del entity.lines[key]


def rows_of(values: Any, rule: LineRule) -> dict[str, dict[str, Any]]:
    """Return the rows of a list by their keys; the quantities of rows with one key are added."""
    rows: dict[str, dict[str, Any]] = {}
    for row in values if isinstance(values, list) else ():
        key = line_key(row, rule) if isinstance(row, dict) else None
        if key is None:
            continue
        if key in rows:
            rows[key] = rows[key] | {"quantity": quantity_of(rows[key]) + quantity_of(row)}
        else:
            rows[key] = _kept(row)
    return rows


def _rows(event: Event, kind: EntityKind, rule: LineRule) -> dict[str, dict[str, Any]]:
    """Return the event's rows; an event without a list may be one line itself, as in a shop's export."""
    rows = event.properties.get(rule.source)
    if isinstance(rows, list):
        return rows_of(rows, rule)
    key = line_key(event.properties, rule)
    left_out = {*kind.keys, *kind.parent_keys, kind.amount, rule.source}
    own = {name: value for name, value in event.properties.items() if name not in left_out}
    return {} if key is None else {key: _kept(own)}


def _further_skus(values: Any, rule: LineRule) -> dict[str, list[str]]:
    """Return line key -> the skus of its rows beyond that of the first, where several rows have one key."""
    skus: dict[str, list[str]] = {}
    for row in values if isinstance(values, list) else ():
        key = line_key(row, rule) if isinstance(row, dict) else None
        if key is not None:
            skus.setdefault(key, []).append(first_key(row, SKU) or "")
    return {
        key: sorted(set(named) - {named[0], ""})[:_SKUS_MAX] for key, named in skus.items() if len(named) > 1
    }


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in row.items():
        if len(kept) < _FIELDS_MAX and isinstance(value, str | int | float):
            kept[name] = value[:_TEXT_MAX] if isinstance(value, str) else value
    return kept


def _put_one(entity: Entity, key: str, event: Event, *, removed: bool) -> None:
    stamp, line = (event.occurred_at, event.message_id), entity.lines.get(key)
    if line is None or stamp > line.stamp:
        entity.lines[key] = EntityLine(stamp, fields=dict(event.properties), removed=removed)


def _put_listed(entity: Entity, key: str, event: Event, fields: dict[str, Any], skus: list[str]) -> None:
    stamp, line = (event.occurred_at, event.message_id), entity.lines.get(key)
    if line is None or (not event.hint, stamp) > (not line.hint, line.stamp):
        entity.lines[key] = EntityLine(stamp, fields=fields, hint=event.hint, skus=skus)


def settle_lines(
    entity: Entity, rule: LineRule, closings: Closings, bought: Mapping[str, Instant] = _NOTHING
) -> bool:
    """Work out which lines are in the list: not removed, not bought since, and of the newest whole list.

    Returns whether it is another list than before.
    """
    before = [line.present for line in entity.lines.values()]
    closed_until = closings.all_at if rule.may_shrink else NEVER
    for key, line in entity.lines.items():
        at = line.stamp[0]
        line.present = (
            not line.removed
            and (not line.hint, at) >= entity.listed_at
            and (closed_until == NEVER or at > closed_until)
            and (not bought or at > _bought_at(key, line, bought))
        )
    if rule.source and len({line.stamp for line in entity.lines.values()}) > 1:
        _hide_repeated(entity.lines)
    return before != [line.present for line in entity.lines.values()]


def _bought_at(key: str, line: EntityLine, bought: Mapping[str, Instant]) -> Instant:
    return max(bought.get(name, NEVER) for name in (key, *skus_of(line), EVERYTHING))


def _hide_repeated(lines: Mapping[str, EntityLine]) -> None:
    """Hide lines that a source without the product's key told by its sku or name, where another one told the key."""
    present = [(key, line) for key, line in lines.items() if line.present]
    named = {
        name: line.stamp
        for key, line in present
        for name in (*skus_of(line), first_key(line.fields, _NAME))
        if name is not None and name != key
    }
    for key, line in present:
        own = (skus_of(line) or [first_key(line.fields, _NAME) or key])[0]
        if own == key and named.get(key, line.stamp) != line.stamp:
            line.present = False


def bought_lines(memory: Memory, cart: EntityKind) -> dict[str, Instant]:
    """Return line key -> the instant of the newest counted entity that takes the line out of this kind's lists."""
    bought = dict(memory.taken.get(cart.name, _NOTHING))
    for kind in cart.lines.removed_by_kinds if cart.lines is not None else ():
        for entity in memory.entities.get(kind, {}).values():
            if entity.counted_at is not None:
                note_bought(bought, entity, entity.counted_at)
    return bought


def note_bought(bought: dict[str, Instant], entity: Entity, at: Instant) -> None:
    """Note each line of an entity as bought at an instant; one that tells no lines may have bought everything."""
    # The lines that a dropped entity took out are kept in `Memory.taken`.
    tells_nothing = not entity.lines and entity.shares is None
    for key in (EVERYTHING,) if tells_nothing else _bought_names(entity.lines):
        if at > bought.get(key, NEVER):
            bought[key] = at


def _bought_names(lines: Mapping[str, EntityLine]) -> Iterable[str]:
    return (name for key, line in lines.items() if line.present for name in (key, *skus_of(line)))
