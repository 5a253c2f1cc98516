"""Read event matchers from plain values, before any model has validated them."""

from collections.abc import Iterator
from typing import Any


def listed(value: Any) -> list[Any]:
    """Return the entries of a value that may be one or a list."""
    return value if isinstance(value, list) else [value]


def event_pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (event, condition or "") of one or several matchers; what is no matcher of events is left out."""
    for entry in listed(value):
        names, where = (entry.get("event"), entry.get("where")) if isinstance(entry, dict) else (entry, None)
        text = where.strip() if isinstance(where, str) else ""
        yield from ((name, text) for name in listed(names) if isinstance(name, str))


def names_entity(entry: Any, kinds: frozenset[str]) -> bool:
    """Tell whether a matcher is about entities or their lines. kinds: the names of the entities."""
    if isinstance(entry, dict):
        return "entity" in entry or "lines" in entry
    return isinstance(entry, str) and entry.removesuffix(".lines") in kinds
