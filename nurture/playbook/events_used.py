"""The events of people that a playbook listens to, and the part that names each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nurture.domain.conditions import Condition
from nurture.domain.event import VALUE_PUBLISHED
from nurture.domain.measure import Exit, Metric, Once, OnEvent, WaitUntilEvent
from nurture.domain.playbook import EntityKind, EventMatch, LineRule, ObjectKind, Playbook, WatchList


def events_used(playbook: Playbook) -> dict[str, str]:
    """Return event -> the first part of the playbook that names it. Events of objects alone, and ours, are left out."""
    used: dict[str, str] = {}
    for part, value in _parts(playbook):
        for name in _events_of(value):
            if name == VALUE_PUBLISHED:
                continue
            used.setdefault(name, part)
    return used


def _parts(playbook: Playbook) -> Iterator[tuple[str, Any]]:
    named: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("entity ", playbook.entities),
        ("fact ", playbook.facts),
        ("hold ", playbook.holds),
        ("object ", playbook.objects),
        ("", playbook.measures),
    )
    yield "conversion", playbook.conversion
    for kind, values in named:
        for name, value in values.items():
            yield f"{kind}{name}", value
    for stage in playbook.stages:
        yield f"stage {stage.name}", stage
    for milestone in playbook.milestones:
        yield f"milestone {milestone.name}", milestone
    for persona in playbook.personas:
        yield f"persona {persona.name}", persona
    yield "requests", playbook.requests


def _events_of(value: Any) -> Iterator[str]:
    """Yield the events that a value and the values inside it name."""
    yield from _own_events(value)
    if isinstance(value, Condition):
        return
    inside: Iterable[Any] = ()
    if is_dataclass(value) and not isinstance(value, type):
        inside = (getattr(value, field.name) for field in fields(value))
    elif isinstance(value, Mapping):
        inside = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        inside = value
    for item in inside:
        yield from _events_of(item)


def _own_events(value: Any) -> Iterable[str]:
    match value:
        case Condition(events=names) | EventMatch(names=names) | OnEvent(names=names):
            return names
        case WaitUntilEvent(names=names):
            return names
        case Once(again_on=names):
            return names
        case Exit(event=name) | Metric(event=name):
            return (name,) if name else ()
        case EntityKind(closed_by=closing):
            return closing
        case LineRule(added_by=added, removed_by=removed):
            return (name for name in (*added, *removed) if not name.endswith(".lines"))
        case ObjectKind(watched_from=begun, watched_until=ended, read_by=read):
            return (*begun, *ended, *read)
        case WatchList(begun_by=begun, ended_by=ended):
            return (*begun, *ended)
        case _:
            return ()
