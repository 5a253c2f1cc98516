"""Validate plain values with the models; every error becomes a fault.

A stand-in replaces each broken value, which is marked as broken, so that the rest of the file is checked in the same
run.
"""

import copy
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names

M = TypeVar("M", bound=BaseModel)

#: Stand-ins for required keys of `measure.yaml` that are missing or broken, by key.
MEASURE_STANDINS: Mapping[str, Any] = {
    "goal": "?",
    "audience": "True",
    "form": "standin",
    "call_to_action": {"kind": "standin", "link": "?"},
    "kind": "service",
    "purpose": "service",
    "trigger": "ops",
    "steps": [{"mail": "standin"}],
}
#: The same for `playbook.yaml`.
PROGRAMME_STANDINS: Mapping[str, Any] = {
    "name": "?",
    "brand": {"name": "?", "shop_url": "?", "address": "?"},
    "senders": {},
    "locales": ["en"],
    "default_zone": "UTC",
    "conversion": {"by": "Order Completed", "key": "order_id"},
    "facts": {},
    "stages": {
        "lead": {"standin": {"when": "True", "may_ask": []}},
        "customer": {"standin": {"when": "True", "may_ask": []}},
    },
    "actions": {"standin": {"sells": False}},
    "forms": ["standin"],
}
#: Required key -> what to change when it is missing.
MISSING: Mapping[str, str] = {
    "goal": "say what the measure is for",
    "audience": "say whom it may reach (True: everybody on the track)",
    "form": "name one of the playbook's forms",
    "call_to_action": "write {kind: ..., link: ...}",
    "trigger": "say what starts it",
    "subject": "write the subject",
    "preheader": "write the line that mail programs show after the subject",
}
_TYPES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "float_type": "a number",
}
#: Section -> depth of the entries that can be left out one by one; of other sections the whole key is left out.
_DEPTHS: Mapping[str, int] = {
    "steps": 2, "let": 2, "objects": 2, "entities": 2, "facts": 2, "segments": 2, "tables": 2, "properties": 2,
    "milestones": 2, "holds": 2, "topics": 2, "caps": 2, "touchpoints": 2, "personas": 2, "offers": 2, "actions": 2,
    "senders": 2, "owners": 2, "calendars": 2, "moments": 2, "values": 2, "stages": 3,
}  # fmt: skip
_STEP = {"wait": "1d"}
_ATTEMPTS_MAX = 5


def read_model(model: type[M], document: Document, faults: Faults, standins: Mapping[str, Any]) -> M | None:
    """Return a document as `model`, with stand-ins for broken parts (`Faults.is_broken`); every error becomes a fault.

    None when the document cannot be read even with stand-ins.
    """
    data = copy.deepcopy(document.data)
    for attempt in range(_ATTEMPTS_MAX):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors()
        for detail in details if attempt == 0 else ():
            _report(detail, model, document, faults)
        for detail in details:
            loc = _place_of(data, detail["loc"], missing=detail["type"] == "missing")
            faults.mark_broken(document.path, _replace(data, loc, detail["type"], standins))
    return None


def _report(detail: ErrorDetails, model: type[BaseModel], document: Document, faults: Faults) -> None:
    loc = _place_of(document.data, detail["loc"], missing=detail["type"] == "missing")
    what, change = _fault_text(detail, loc, model)
    faults.at(document, loc, what, change)


def _fault_text(detail: ErrorDetails, loc: Loc, model: type[BaseModel]) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx") or {}
    name = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "missing":
        return f"`{name}` is missing", MISSING.get(name, f"add `{name}:`")
    if kind == "extra_forbidden":
        return f"`{name}` is not known here", _nearest(name, model, loc)
    if kind == "fault":
        return f"`{name}`: {context['what']}", str(context["change"])
    if kind == "form":
        return f"`{name}` has no form that is known", detail["msg"]
    if kind == "literal_error":
        return f"`{name}`: {detail['input']!r} is not known", f"write {context['expected']}"
    if kind in _TYPES:
        return f"`{name}`: {_short(detail['input'])} is not {_TYPES[kind]}", f"write {_TYPES[kind]}"
    if kind == "string_pattern_mismatch":
        return (
            f"`{name}`: {_short(detail['input'])} has the wrong form",
            f"it must match {context['pattern']}",
        )
    if kind in ("too_short", "dict_too_short"):
        return f"`{name}` has too few entries", f"give at least {context.get('min_length', 1)}"
    return f"`{name}`: {_short(detail['input'])}", detail["msg"].removeprefix("Input should be ")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest(name: str, model: type[BaseModel], loc: Loc) -> str:
    if len(loc) > 1:
        return "remove it, or see docs/playbook.md for the keys that may stand here"
    known = [field.alias or key for key, field in model.model_fields.items()]
    near = get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"remove it; known are {format_names(known, most=40)}"


def _place_of(data: Any, loc: Loc, *, missing: bool = False) -> tuple[str | int, ...]:
    """Return `loc` without pydantic's union tags, which are no keys of the data.

    A tag may equal a key (`mail`), so the longest path that exists in the data is taken.
    missing: the last part is a missing key, and is kept.
    """
    if missing:
        return (*_longest_match(data, tuple(loc[:-1])), loc[-1])
    return _longest_match(data, tuple(loc))


def _longest_match(data: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if not loc:
        return ()
    part, rest = loc[0], loc[1:]
    is_item = isinstance(data, list) and isinstance(part, int) and part < len(data)
    if not is_item and not (isinstance(data, dict) and part in data):
        return _longest_match(data, rest)
    taken = (part, *_longest_match(data[part], rest))
    skipped = _longest_match(data, rest)
    return taken if len(taken) >= len(skipped) else skipped


def _replace(data: Any, loc: Loc, kind: str, standins: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Remove the broken place from `data`, or put a stand-in there; return the place that is now broken."""
    if kind == "missing" and len(loc) > 1:
        loc = loc[:-1]
    depth = (
        len(loc) if kind == "extra_forbidden" else min(len(loc), _DEPTHS.get(str(loc[0]), 1)) if loc else 0
    )
    place = tuple(loc[:depth])
    if not place:
        return ()
    parent = data
    for part in place[:-1]:
        parent = parent[part]
    last: Any = place[-1]
    if isinstance(parent, list):
        parent[last] = copy.deepcopy(_STEP)
    elif len(place) == 1 and last in standins:
        parent[last] = copy.deepcopy(standins[last])
    else:
        parent.pop(last, None)
    return place
