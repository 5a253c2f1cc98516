"""The usual interval between purchases, by what was bought: fixed, of a table, or as published when it was bought."""

from collections.abc import Callable, Mapping
from typing import Any

from nurture.domain.entities.reading import text_at_hand
from nurture.domain.instant import Duration, Instant
from nurture.domain.memory import Entity
from nurture.domain.playbook import PublishedVersions, UsualInterval
from nurture.domain.values import key_text


def usual_interval(
    usual: Duration | UsualInterval,
    text_of: Callable[[str], str | None],
    at: Instant,
    published: PublishedVersions,
) -> Duration:
    """Return the usual interval as it was known at an instant. text_of: property -> the text of what was bought."""
    if isinstance(usual, int):
        return usual
    text = text_of(usual.by) if usual.value else None
    interval = published.interval(usual.value, text, at) if text is not None else None
    if interval is not None:
        return interval
    if isinstance(usual.otherwise, int):
        return usual.otherwise
    found = usual.otherwise.value_for(text_of(usual.otherwise.property_name))
    return int(found or 0)


def text_of_fields(name: str, fields: Mapping[str, Any]) -> str | None:
    """Return the text of a property of what was bought: its own, else that of its largest line."""
    return text_at_hand(name, fields, {}, read=key_text)


def text_of_entity(name: str, entity: Entity) -> str | None:
    """Return the same for an entity that has its fields and lines."""
    lines = [line.fields for line in entity.lines.values() if line.present]
    return text_of_fields(name, {**entity.fields, "lines": lines})
