"""The stored form of a contact's memory and of what a run keeps beside its columns: JSON text and back.

Only this file knows the keys of these documents. The version before reads what this one writes, and this one
what that one wrote: keys never change their meaning, what is empty is left out, and keys that this version does
not know are written back as they were read. A document in which nothing changed becomes the same text again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from nurture.database.engine import decode, encode
from nurture.domain.contact import Run, RunOrigin
from nurture.domain.instant import NEVER
from nurture.domain.memory import (
    Closings,
    ConversionRecord,
    Entity,
    EntityLine,
    HoldSpan,
    Memory,
    MilestoneCount,
    Signs,
)

_Document = dict[str, Any]
_Convert = Callable[[Any], Any]


# ---- memory ----------------------------------------------------------------------------------------------


def encode_memory(memory: Memory) -> str:
    """Return the JSON text of `contact_state.memory`."""
    return encode(memory_document(memory))


def decode_memory(text: str) -> Memory:
    """Read the JSON text of `contact_state.memory`."""
    return memory_of(decode(text))


def memory_document(memory: Memory) -> _Document:
    """Return the memory as a document that `encode` can write: the stored keys first, in their order."""
    document: _Document = dict.fromkeys(memory.stored_keys)
    for key, attribute, _, write in _PARTS:
        value = getattr(memory, attribute)
        if value or key in document:
            document[key] = value if write is None else write(value)
    if memory.unknown:
        document.update(memory.unknown)
    return document


def memory_of(document: Mapping[str, Any]) -> Memory:
    """Return the memory that a document describes; the document belongs to it from now on."""
    parts: dict[str, Any] = {}
    unknown: _Document = {}
    for key, value in document.items():
        if key in _READERS:
            attribute, read = _READERS[key]
            parts[attribute] = value if read is None else read(value)
        else:
            unknown[key] = value
    return Memory(**parts, unknown=unknown, stored_keys=tuple(document))


def _others(document: _Document, known: frozenset[str]) -> _Document:
    """Return what a document that has all known keys has besides; nothing but for a later version's."""
    if len(document) == len(known):
        return {}
    return {key: value for key, value in document.items() if key not in known}


def _read_tuples(document: _Document) -> dict[str, Any]:
    return {name: tuple(values) for name, values in document.items()}


def _read_signs(document: _Document) -> dict[str, Signs]:
    return {name: Signs(signs.get("yes", NEVER), signs.get("no", NEVER)) for name, signs in document.items()}


def _write_signs(signs: Mapping[str, Signs]) -> _Document:
    both = {name: {"yes": sign.yes, "no": sign.no} for name, sign in signs.items()}
    return {name: {sign: at for sign, at in pair.items() if at > NEVER} for name, pair in both.items()}


_ENTITY: Final = frozenset({"fields", "at", "lines", "opened_at", "touched_at", "closed_at"})


def _read_entity(document: _Document) -> Entity:
    return Entity(
        document["opened_at"],
        document["touched_at"],
        document["closed_at"],
        document["fields"],
        _read_tuples(document["at"]),
        {key: _read_line(line) for key, line in lines.items()} if (lines := document["lines"]) else lines,
        _others(document, _ENTITY),
    )


def _write_entity(entity: Entity) -> _Document:
    document: _Document = {
        "fields": entity.fields,
        "at": entity.stamps,
        "lines": {key: _write_line(line) for key, line in entity.lines.items()},
        "opened_at": entity.opened_at,
        "touched_at": entity.touched_at,
        "closed_at": entity.closed_at,
    }
    return document | entity.unknown if entity.unknown else document


def _read_line(document: _Document) -> EntityLine:
    at, message_id = document["at"]
    return EntityLine((at, message_id), document["present"], document["fields"])


def _write_line(line: EntityLine) -> _Document:
    return {"at": line.stamp, "present": line.present, "fields": line.fields}


def _read_entities(document: _Document) -> dict[str, dict[str, Entity]]:
    return {
        name: {key: _read_entity(entity) for key, entity in known.items()} for name, known in document.items()
    }


def _write_entities(entities: Mapping[str, Mapping[str, Entity]]) -> _Document:
    return {
        name: {key: _write_entity(entity) for key, entity in known.items()}
        for name, known in entities.items()
    }


_CLOSINGS: Final = frozenset({"all", "keys"})


def _read_closings(document: _Document) -> dict[str, Closings]:
    return {
        name: Closings(known["all"], known["keys"], _others(known, _CLOSINGS))
        for name, known in document.items()
    }


def _write_closings(closings: Mapping[str, Closings]) -> _Document:
    return {
        name: {"all": known.all_at, "keys": known.by_key, **known.unknown} for name, known in closings.items()
    }


_CONVERSION: Final = frozenset({"at", "reversed"})


def _read_conversions(document: _Document) -> dict[str, ConversionRecord]:
    return {
        key: ConversionRecord(record["at"], record["reversed"], _others(record, _CONVERSION))
        for key, record in document.items()
    }


def _write_conversions(conversions: Mapping[str, ConversionRecord]) -> _Document:
    return {
        key: {"at": record.at, "reversed": record.reversed, **record.unknown}
        for key, record in conversions.items()
    }


_MILESTONE: Final = frozenset({"count", "keys"})


def _read_milestones(document: _Document) -> dict[str, MilestoneCount]:
    return {
        name: MilestoneCount(known["count"], known["keys"], _others(known, _MILESTONE))
        for name, known in document.items()
    }


def _write_milestones(milestones: Mapping[str, MilestoneCount]) -> _Document:
    return {
        name: {"count": known.count, "keys": known.keys, **known.unknown}
        for name, known in milestones.items()
    }


def _read_holds(document: _Document) -> dict[str, dict[str, HoldSpan]]:
    return {
        hold: {key: HoldSpan(start, end) for key, (start, end) in spans.items()}
        for hold, spans in document.items()
    }


#: (stored key, attribute of `Memory`, reader, writer); without a reader or writer a part is stored as it is held.
_PARTS: Final[tuple[tuple[str, str, _Convert | None, _Convert | None], ...]] = (
    ("folded", "definitions", None, None),
    ("latest", "latest", _read_tuples, None),
    ("sets", "sets", None, None),
    ("ever", "ever", None, None),
    ("signs", "signs", _read_signs, _write_signs),
    ("entities", "entities", _read_entities, _write_entities),
    ("closings", "closings", _read_closings, _write_closings),
    ("gone", "dropped_entities", None, None),
    ("conversions", "conversions", _read_conversions, _write_conversions),
    ("converted", "dropped_conversions", None, None),
    ("milestones", "milestones", _read_milestones, _write_milestones),
    ("holds", "holds", _read_holds, None),
    ("done", "run_starts", None, None),
    ("triggers", "answers", _read_tuples, None),
    ("quiet", "silences", None, None),
    ("base", "events_kept_from", None, None),
)
#: Stored key -> (attribute of `Memory`, reader).
_READERS: Final = {key: (attribute, read) for key, attribute, read, _ in _PARTS}


# ---- runs ------------------------------------------------------------------------------------------------


class RunData(NamedTuple):
    """The content of `runs.data`."""

    origin: RunOrigin
    position: int
    queued: bool
    unknown: _Document


_RUN: Final = frozenset(
    {"event", "occurred_at", "properties", "generation", "position", "request", "send_at", "queued"}
)


def encode_run_data(run: Run) -> str:
    """Return the JSON text of `runs.data`."""
    origin = run.origin
    document: _Document = {
        "event": origin.event,
        "occurred_at": origin.occurred_at,
        "properties": origin.properties,
        "generation": origin.generation,
        "position": run.position,
    }
    if origin.request is not None:
        document["request"] = origin.request
    if origin.send_at is not None:
        document["send_at"] = origin.send_at
    if run.queued:
        document["queued"] = True
    document.update(run.unknown)
    return encode(document)


def decode_run_data(text: str) -> RunData:
    """Read the JSON text of `runs.data`."""
    document: _Document = decode(text)
    origin = RunOrigin(
        event=document.get("event", ""),
        occurred_at=document.get("occurred_at", 0),
        properties=document.get("properties", {}),
        generation=document.get("generation", 0),
        request=document.get("request"),
        send_at=document.get("send_at"),
    )
    unknown = {key: document[key] for key in document.keys() - _RUN}
    return RunData(origin, document.get("position", 0), bool(document.get("queued")), unknown)
