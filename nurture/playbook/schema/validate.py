"""From plain values to models: every error becomes a fault in our words, and reading goes on.

What cannot be read is replaced by a stand-in and remembered as broken, so that the rest of the file is still
checked and its faults come in the same list.
"""

import copy
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, list_of

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
#: Required keys of `playbook.yaml`.
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
#: What a missing essential asks for.
_MISSING: Mapping[str, str] = {
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
#: How deep the entries of a section lie that can be left out one by one; elsewhere the whole key goes.
_DEPTHS: Mapping[str, int] = {
    "steps": 2, "let": 2, "objects": 2, "facts": 2, "properties": 2, "milestones": 2, "holds": 2, "topics": 2,
    "caps": 2, "touchpoints": 2, "personas": 2, "offers": 2, "actions": 2, "senders": 2, "stages": 3,
}  # fmt: skip
_STEP = {"wait": "1d"}
_ROUNDS = 5


def read_model(model: type[M], document: Document, faults: Faults, standins: Mapping[str, Any]) -> M | None:
    """Read a document as `model`, putting every error into `faults`.

    Returns the model with stand-ins where something is broken (`Faults.is_broken` tells), or None when even
    that is impossible.
    """
    data = copy.deepcopy(document.data)
    for attempt in range(_ROUNDS):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors()
        for detail in details if attempt == 0 else ():
            _report(detail, model, document, faults)
        for detail in details:
            loc = _plain(data, detail["loc"], missing=detail["type"] == "missing")
            faults.break_off(document.path, _replace(data, loc, detail["type"], standins))
    return None


def _report(detail: ErrorDetails, model: type[BaseModel], document: Document, faults: Faults) -> None:
    loc = _plain(document.data, detail["loc"], missing=detail["type"] == "missing")
    what, change = _words(detail, loc, model)
    faults.at(document, loc, what, change)


def _words(detail: ErrorDetails, loc: Loc, model: type[BaseModel]) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx") or {}
    name = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "missing":
        return f"`{name}` is missing", _MISSING.get(name, f"add `{name}:`")
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
    return f"did you mean `{near[0]}`?" if near else f"remove it; known are {list_of(known, most=40)}"


def _plain(data: Any, loc: Loc, *, missing: bool = False) -> tuple[str | int, ...]:
    """Return `loc` without the union tags that name nothing in the data.

    A tag may be spelt like a key (`mail`), so the reading that finds most of the place is taken.
    missing: the last part names a key that is not there, and is kept.
    """
    if missing:
        return (*_longest(data, tuple(loc[:-1])), loc[-1])
    return _longest(data, tuple(loc))


def _longest(data: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if not loc:
        return ()
    part, rest = loc[0], loc[1:]
    is_item = isinstance(data, list) and isinstance(part, int) and part < len(data)
    if not is_item and not (isinstance(data, dict) and part in data):
        return _longest(data, rest)
    found = (part, *_longest(data[part], rest))
    passed_over = _longest(data, rest)
    return found if len(found) >= len(passed_over) else passed_over


def _replace(data: Any, loc: Loc, kind: str, standins: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Take the broken place out of `data`, or put a stand-in there; return the place that is now broken."""
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
