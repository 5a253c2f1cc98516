"""The stored form of a contact's memory and of what a run keeps beside its columns: JSON text and back.

Only this file knows the keys of these documents. The version before reads what this one writes, and this one
what that one wrote: keys never change their meaning, what is empty is left out, and keys that this version does
not know are written back as they were read. A document in which nothing changed becomes the same text again.

Most events read few parts of a memory. A part is decoded when it is first read; a part that nobody read is
written back as the bytes it was.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from nurture.database.engine import decode, encode
from nurture.domain.contact import Run, RunOrigin
from nurture.domain.instant import NEVER, Instant
from nurture.domain.memory import (
    Closings,
    ConversionRecord,
    Entity,
    EntityLine,
    FieldStamp,
    HoldSpan,
    Memory,
    MilestoneCount,
    Signs,
    ValueStamp,
)

_Document = dict[str, Any]
_Read = Callable[[Any], Any]
_Write = Callable[[Any], Any]


# ---- memory ----------------------------------------------------------------------------------------------


def encode_memory(memory: Memory) -> str:
    """Return the JSON text of `contact_state.memory`."""
    return encode(memory_document(memory))


def decode_memory(text: str) -> Memory:
    """Read the JSON text of `contact_state.memory`."""
    stored = _DOCUMENT.decode(text)
    memory = _StoredMemory.__new__(_StoredMemory)
    values = vars(memory)
    values["stored"] = stored
    for key, attribute, missing in _SCALARS:
        values[attribute] = decode(stored[key]) if key in stored else missing
    values["unknown"] = (
        {} if stored.keys() <= _KEYS else {key: stored[key] for key in stored if key not in _KEYS}
    )
    return memory


def memory_document(memory: Memory) -> _Document:
    """Return the memory as a document that `encode` can write: the stored keys first, in their order."""
    document = memory.stored.copy()
    # Not `getattr`, which would decode a part that nobody has read.
    values = vars(memory)
    for key, attribute, _, write in _PARTS:
        if attribute in values:
            value = values[attribute]
            if value or key in document:
                document[key] = value if write is None else write(value)
    document.update(memory.unknown)
    return document


_DOCUMENT: Final = msgspec.json.Decoder(dict[str, Raw])


class _StoredMemory(Memory):
    """A memory as it was read: `stored` holds every part as JSON, and each is decoded when it is first read."""

    def __getattr__(self, name: str) -> Any:
        """Decode and keep a part; Python calls this for attributes that are not set."""
        if name not in _READERS:
            raise AttributeError(name)
        key, read = _READERS[name]
        value = read(self.stored[key]) if key in self.stored else {}
        vars(self)[name] = value
        return value


def _others(document: _Document, known: frozenset[str]) -> _Document:
    """Return what a document that has all known keys has besides; nothing but for a later version's."""
    if len(document) == len(known):
        return {}
    return {key: value for key, value in document.items() if key not in known}


def _write_signs(signs: Mapping[str, Signs]) -> _Document:
    both = {name: {"yes": sign.yes, "no": sign.no} for name, sign in signs.items()}
    return {name: {sign: at for sign, at in pair.items() if at > NEVER} for name, pair in both.items()}


class _EntityDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The stored form of an entity; its large parts are decoded when they are first read."""

    fields: Raw
    at: Raw
    lines: Raw
    opened_at: Instant
    touched_at: Instant
    closed_at: Instant | None


class _StoredEntity(Entity):
    """An entity as it was read: `document` holds its fields, stamps and lines until one of them is read."""

    document: _EntityDocument

    def __getattr__(self, name: str) -> Any:
        """Decode and keep a part; Python calls this for attributes that are not set."""
        document = vars(self).get("document")
        if document is None or name not in _ENTITY_READERS:
            raise AttributeError(name)
        key, read = _ENTITY_READERS[name]
        value = read(getattr(document, key))
        vars(self)[name] = value
        return value


def _stored_entity(document: _EntityDocument) -> Entity:
    entity = _StoredEntity.__new__(_StoredEntity)
    entity.document = document
    entity.opened_at = document.opened_at
    entity.touched_at = document.touched_at
    entity.closed_at = document.closed_at
    entity.unknown = {}
    return entity


def _entity_of(document: _Document) -> Entity:
    """Return an entity of which a later version has written more than this one knows."""
    return Entity(
        document["opened_at"],
        document["touched_at"],
        document["closed_at"],
        document["fields"],
        {name: (at, message_id) for name, (at, message_id) in document["at"].items()},
        {key: _line_of(line) for key, line in document["lines"].items()},
        _others(document, frozenset(_EntityDocument.__struct_fields__)),
    )


def _write_entity(entity: Entity) -> _EntityDocument | _Document:
    values = vars(entity)
    if "document" in values and values.keys().isdisjoint(_ENTITY_READERS):
        document: _EntityDocument = values["document"]
        document.opened_at = entity.opened_at
        document.touched_at = entity.touched_at
        document.closed_at = entity.closed_at
        return document
    return {
        "fields": entity.fields,
        "at": entity.stamps,
        "lines": {key: _write_line(line) for key, line in entity.lines.items()},
        "opened_at": entity.opened_at,
        "touched_at": entity.touched_at,
        "closed_at": entity.closed_at,
    } | entity.unknown


def _read_lines(raw: Raw) -> dict[str, EntityLine]:
    return {key: _line_of(line) for key, line in decode(raw).items()}


def _line_of(document: _Document) -> EntityLine:
    at, message_id = document["at"]
    return EntityLine((at, message_id), document["present"], document["fields"])


def _write_line(line: EntityLine) -> _Document:
    return {"at": line.stamp, "present": line.present, "fields": line.fields}


_STAMPS: Final = msgspec.json.Decoder(dict[str, FieldStamp])
#: Attribute of `Entity` -> (stored key, reader).
_ENTITY_READERS: Final[Mapping[str, tuple[str, _Read]]] = {
    "fields": ("fields", decode),
    "stamps": ("at", _STAMPS.decode),
    "lines": ("lines", _read_lines),
}
_ENTITIES: Final = msgspec.json.Decoder(dict[str, dict[str, _EntityDocument]])


def _read_entities(raw: Raw) -> dict[str, dict[str, Entity]]:
    try:
        documents = _ENTITIES.decode(raw)
    except msgspec.ValidationError:
        return {
            name: {key: _entity_of(entity) for key, entity in known.items()}
            for name, known in decode(raw).items()
        }
    return {
        name: {key: _stored_entity(entity) for key, entity in known.items()}
        for name, known in documents.items()
    }


def _write_entities(entities: Mapping[str, Mapping[str, Entity]]) -> _Document:
    return {
        name: {key: _write_entity(entity) for key, entity in known.items()}
        for name, known in entities.items()
    }


_CLOSINGS: Final = frozenset({"all", "keys"})


def _read_closings(raw: Raw) -> dict[str, Closings]:
    return {
        name: Closings(known["all"], known["keys"], _others(known, _CLOSINGS))
        for name, known in decode(raw).items()
    }


def _write_closings(closings: Mapping[str, Closings]) -> _Document:
    return {
        name: {"all": known.all_at, "keys": known.by_key, **known.unknown} for name, known in closings.items()
    }


_CONVERSION: Final = frozenset({"at", "reversed"})


def _read_conversions(raw: Raw) -> dict[str, ConversionRecord]:
    return {
        key: ConversionRecord(record["at"], record["reversed"], _others(record, _CONVERSION))
        for key, record in decode(raw).items()
    }


def _write_conversions(conversions: Mapping[str, ConversionRecord]) -> _Document:
    return {
        key: {"at": record.at, "reversed": record.reversed, **record.unknown}
        for key, record in conversions.items()
    }


_MILESTONE: Final = frozenset({"count", "keys"})


def _read_milestones(raw: Raw) -> dict[str, MilestoneCount]:
    return {
        name: MilestoneCount(known["count"], known["keys"], _others(known, _MILESTONE))
        for name, known in decode(raw).items()
    }


def _write_milestones(milestones: Mapping[str, MilestoneCount]) -> _Document:
    return {
        name: {"count": known.count, "keys": known.keys, **known.unknown}
        for name, known in milestones.items()
    }


_TUPLES: Final = msgspec.json.Decoder(dict[str, ValueStamp])
_ANSWERS: Final = msgspec.json.Decoder(dict[str, tuple[str, bool]])
_SIGNS: Final = msgspec.json.Decoder(dict[str, Signs])
_HOLDS: Final = msgspec.json.Decoder(dict[str, dict[str, HoldSpan]])
#: (stored key, attribute of `Memory`, reader, writer); without a writer a part is stored as it is held.
_PARTS: Final[tuple[tuple[str, str, _Read, _Write | None], ...]] = (
    ("folded", "definitions", decode, None),
    ("latest", "latest", _TUPLES.decode, None),
    ("sets", "sets", decode, None),
    ("ever", "ever", decode, None),
    ("signs", "signs", _SIGNS.decode, _write_signs),
    ("entities", "entities", _read_entities, _write_entities),
    ("closings", "closings", _read_closings, _write_closings),
    ("gone", "dropped_entities", decode, None),
    ("conversions", "conversions", _read_conversions, _write_conversions),
    ("converted", "dropped_conversions", decode, None),
    ("milestones", "milestones", _read_milestones, _write_milestones),
    ("holds", "holds", _HOLDS.decode, None),
    ("done", "run_starts", decode, None),
    ("triggers", "answers", _ANSWERS.decode, None),
    ("quiet", "silences", decode, None),
    ("aside", "set_aside", decode, None),
    ("base", "events_kept_from", decode, None),
)
_KEYS: Final = frozenset(key for key, *_ in _PARTS)
#: (stored key, attribute, value when it is not stored) of the parts that are decoded at once.
_SCALARS: Final = (
    ("folded", "definitions", ""),
    ("converted", "dropped_conversions", 0),
    ("base", "events_kept_from", None),
)
#: Attribute of `Memory` -> (stored key, reader) of the parts that are decoded when they are first read.
_READERS: Final = {
    attribute: (key, read)
    for key, attribute, read, _ in _PARTS
    if attribute not in {scalar for _, scalar, _ in _SCALARS}
}


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
    unknown = {} if document.keys() <= _RUN else {key: document[key] for key in document if key not in _RUN}
    return RunData(origin, document.get("position", 0), bool(document.get("queued")), unknown)
