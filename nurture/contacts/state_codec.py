"""The stored form of a contact's memory and of what a run keeps beside its columns: JSON text and back.

The version before reads what this one writes, and this one what that one wrote: what is empty is left out, and keys
that this version does not know are kept beside the memory and written back. A text that this version wrote becomes
the same text again when nothing changed.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from nurture.database.engine import decode, encode
from nurture.domain.contact import PersonRequest, Run, RunOrigin, UnknownMemory
from nurture.domain.instant import Instant
from nurture.domain.measure import StepOutcome, StepPath
from nurture.domain.memory import (
    AccountStanding,
    Closings,
    ConversionRecord,
    Entity,
    EntityLine,
    Memory,
    MilestoneCount,
    Refund,
    Signs,
    TopicConsent,
    Worth,
)

_Document = dict[str, Any]
_Path = tuple[str, ...]


# ---- memory ----------------------------------------------------------------------------------------------


def encode_memory(memory: Memory, unknown: UnknownMemory) -> str:
    """Return the JSON text of `contact_state.memory`."""
    return encode(memory_document(memory, unknown) if unknown else memory)


def decode_memory(text: str) -> tuple[Memory, UnknownMemory]:
    """Read the JSON text of `contact_state.memory`, and beside it what a later version has written there."""
    try:
        return _MEMORY.decode(text), {}
    except msgspec.ValidationError:
        document: _Document = decode(text)
        unknown = _take_unknown(document)
        return msgspec.convert(document, Memory), unknown


def memory_document(memory: Memory, unknown: UnknownMemory) -> _Document:
    """Return the memory as plain values that `encode` can write."""
    document: _Document = msgspec.to_builtins(memory)
    for path, values in unknown.items():
        for _, part in _parts(document, path):
            part.update(values)
    return document


_MEMORY: Final = msgspec.json.Decoder(Memory)
#: Where the document has parts with keys of their own; `*` stands for every key.
_PLACES: Final[tuple[tuple[_Path, type[msgspec.Struct]], ...]] = (
    ((), Memory),
    (("signs", "*"), Signs),
    (("entities", "*", "*"), Entity),
    (("entities", "*", "*", "lines", "*"), EntityLine),
    (("entities", "*", "*", "worth"), Worth),
    (("entities", "*", "*", "totals", "*"), Worth),
    (("entities", "*", "*", "refunds", "*"), Refund),
    (("buried", "*", "*"), Entity),
    (("buried", "*", "*", "worth"), Worth),
    (("buried", "*", "*", "totals", "*"), Worth),
    (("buried", "*", "*", "refunds", "*"), Refund),
    (("closings", "*"), Closings),
    (("conversions", "*"), ConversionRecord),
    (("milestones", "*"), MilestoneCount),
    (("consents", "*"), TopicConsent),
    (("accounts", "*"), AccountStanding),
)


def _take_unknown(document: _Document) -> UnknownMemory:
    """Take out of the document the keys that this version does not know; return path -> key -> value."""
    unknown = {}
    for place, part_type in _PLACES:
        for path, part in _parts(document, place):
            values = {key: part.pop(key) for key in part.keys() - set(part_type.__struct_encode_fields__)}
            if values:
                unknown[path] = values
    return unknown


def _parts(document: _Document, place: _Path, path: _Path = ()) -> Iterator[tuple[_Path, _Document]]:
    """Yield (path, part) for each part at the place; none where the document has no such part any more."""
    if not place:
        yield path, document
        return
    for key in document if place[0] == "*" else place[:1]:
        if key in document:
            yield from _parts(document[key], place[1:], (*path, key))


# ---- runs ------------------------------------------------------------------------------------------------


class RunData(NamedTuple):
    """The content of `runs.data`."""

    origin: RunOrigin
    position: int
    queued: bool
    passed: tuple[str, ...]
    path: StepPath | None
    outcomes: dict[str, StepOutcome]
    acted: list[str]
    # Keys of a later version.
    unknown: _Document


class _RunDocument(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: str = ""
    occurred_at: Instant = 0
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    generation: int = 0
    position: int = 0
    request: str | None = None
    send_at: Instant | None = None
    queued: bool = False
    passed: tuple[str, ...] = ()
    asked: PersonRequest | None = None
    # (place, branch, case) of each branch around the step, and its place in its own list.
    path: StepPath | None = None
    # Step id -> (outcome, reason).
    outcomes: dict[str, StepOutcome] = msgspec.field(default_factory=dict)
    acted: list[str] = msgspec.field(default_factory=list)
    depth: int = 0
    number: int = 0


_RUN: Final = msgspec.json.Decoder(_RunDocument)


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
    if run.passed:
        document["passed"] = run.passed
    if origin.asked is not None:
        document["asked"] = origin.asked
    if run.path is not None:
        document["path"] = run.path
    if run.outcomes:
        document["outcomes"] = run.outcomes
    if run.acted:
        document["acted"] = run.acted
    if origin.depth:
        document["depth"] = origin.depth
    if origin.number:
        document["number"] = origin.number
    document.update(run.unknown)
    return encode(document)


def decode_run_data(text: str) -> RunData:
    """Read the JSON text of `runs.data`."""
    unknown: _Document = {}
    try:
        stored = _RUN.decode(text)
    except msgspec.ValidationError:
        document: _Document = decode(text)
        unknown = {key: document.pop(key) for key in document.keys() - set(_RunDocument.__struct_fields__)}
        stored = msgspec.convert(document, _RunDocument)
    origin = RunOrigin(
        stored.event,
        stored.occurred_at,
        stored.properties,
        stored.generation,
        stored.request,
        stored.send_at,
        stored.asked,
        stored.depth,
        stored.number,
    )
    return RunData(
        origin,
        stored.position,
        stored.queued,
        stored.passed,
        stored.path,
        stored.outcomes,
        stored.acted,
        unknown,
    )
