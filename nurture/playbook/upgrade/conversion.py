"""Write a conversion by events and a key as one by an entity."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml.nodes import Node, SequenceNode

from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.schema.facts import FOLDS
from nurture.playbook.schema.values import NAME_FORM
from nurture.playbook.upgrade.matchers import event_pairs, listed, names_entity
from nurture.playbook.upgrade.yaml_text import (
    YamlText,
    drop_key,
    plain,
    put_above,
    put_last,
    quoted,
    replaced,
    to_block,
)

#: The keys of a kind that change nothing about which of its entities count and stand.
_HARMLESS: Final = frozenset(
    {"key", "of", "counts_from", "reversed_by", "keep", "remember", "amount", "closed_by"}
)


@dataclass(frozen=True, slots=True)
class Converting:
    """The entity that takes the place of the events of a conversion."""

    kind: str
    # True: there is such an entity already.
    is_known: bool
    key: str
    # Event that reverses -> condition, "" for none.
    reversed_by: Mapping[str, str]
    kinds: frozenset[str]


def read_conversion(data: Mapping[str, Any]) -> Converting | None:
    """Return the entity for a conversion by events; None where it is by entities, or not understood."""
    conversion, kinds = data.get("conversion"), _kinds(data)
    if not isinstance(conversion, dict) or not isinstance(conversion.get("key"), str):
        return None
    events = [entry for entry in listed(conversion.get("by")) if not names_entity(entry, frozenset(kinds))]
    counts = set(event_pairs(events))
    if not counts:
        return None
    key, reversals = conversion["key"], _reversals(conversion.get("reversed_by"))
    for name, kind in kinds.items():
        if _is_same(kind, key, counts, reversals):
            return Converting(name, True, key, reversals, frozenset(kinds))
    return Converting(_free_name(key, data, kinds), False, key, reversals, frozenset(kinds))


def _kinds(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the entities by name, those among the facts too."""
    kinds: dict[str, Mapping[str, Any]] = {}
    for section, named in (("facts", "entity"), ("entities", "key")):
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            is_kind = isinstance(entry, dict) and (
                section == "entities" or next((fold for fold in FOLDS if fold in entry), "") == "entity"
            )
            if is_kind:
                kinds[name] = {
                    **{key: value for key, value in entry.items() if key != named},
                    "key": entry.get(named),
                }
    return kinds


def _reversals(value: Any) -> dict[str, str]:
    """Return the condition of each reversing event; several for one event are joined."""
    wheres: dict[str, list[str]] = {}
    for name, where in event_pairs(value) if value is not None else ():
        wheres.setdefault(name, []).append(where)
    return {name: "" if "" in texts else _either(texts) for name, texts in wheres.items()}


def _either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else " or ".join(f"({text})" for text in texts)


def _is_same(
    kind: Mapping[str, Any], key: str, counts: set[tuple[str, str]], reversals: Mapping[str, str]
) -> bool:
    """Tell whether an entity counts and is reversed by exactly these events."""
    full = {name: _where(reversal) for name, reversal in (kind.get("reversed_by") or {}).items()}
    return (
        kind["key"] in (key, [key])
        and set(kind) <= _HARMLESS
        and set(event_pairs(kind.get("counts_from") or kind.get("of"))) == counts
        and full == dict(reversals)
    )


def _where(reversal: Any) -> str | None:
    """Return the condition of a reversal in full; None for a refund."""
    if reversal == "full":
        return ""
    is_full = isinstance(reversal, dict) and reversal.get("full") is True
    return str(reversal.get("where", "")).strip() if is_full else None


def _free_name(key: str, data: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Return a name for the entity that nothing has yet: `order` for `order_id`."""
    base = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower().removesuffix("_id")
    base = base if re.fullmatch(NAME_FORM, base) else "conversion"
    used = {*RESERVED, *kinds}
    for section in ("facts", "segments", "tables"):
        used |= set(data.get(section) or ())
    names = (base, f"converting_{base}", *(f"converting_{base}_{number}" for number in range(2, 1_000)))
    return next(name for name in names if name not in used)


def write_conversion(text: str, *, converting: Converting) -> str:
    """Return the text of `playbook.yaml` with a conversion by the entity."""
    text = to_block(text, [])
    yaml = YamlText(text)
    by = yaml.pair("conversion", "by")
    entries = by.value.value if isinstance(by.value, SequenceNode) else [by.value]
    events = [node for node in entries if not names_entity(plain(node), converting.kinds)]
    kept = [converting.kind, *(yaml.flow(node) for node in entries if node not in events)]
    new = replaced(
        text, text.index(":", by.key.end_mark.index) + 1, yaml.end(by.value), f" {_one_or_list(kept)}"
    )
    for key in ("key", "reversed_by"):
        if key in (name.value for name, _ in YamlText(new).value("conversion").value):
            new = drop_key(new, ["conversion", key])
    lost = Counter(yaml.comments()) - Counter(YamlText(new).comments())
    if lost:
        new = put_above(new, "conversion", list(lost.elements()))
    return new if converting.is_known else put_last(new, "entities", [_entity(yaml, converting, events)])


def _entity(yaml: YamlText, converting: Converting, events: Sequence[Node]) -> str:
    """Return the entity that counts and is reversed by the events, on one line."""
    parts = [f"key: {quoted(converting.key)}", f"of: {_one_or_list([yaml.flow(node) for node in events])}"]
    if converting.reversed_by:
        reversals = ", ".join(_reversal(event, where) for event, where in converting.reversed_by.items())
        parts.append(f"reversed_by: {{{reversals}}}")
    return f"{converting.kind}: {{{', '.join(parts)}}}"


def _one_or_list(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"


def _reversal(event: str, where: str) -> str:
    return f"{quoted(event)}: " + (f"{{full: true, where: {quoted(where)}}}" if where else "full")
