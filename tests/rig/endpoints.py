"""Analyse each endpoint once a session: every test of a page has an application of its own, with the same functions.

FastAPI reads the signature of each of some hundred functions for each application; that took half of the time of the
tests of pages.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import fastapi.routing
from fastapi.dependencies.models import Dependant


def share_analysed_endpoints() -> None:
    """Let all applications that this process makes from now on share their analysed endpoints."""
    # FastAPI has no public way to share them.
    names = vars(fastapi.routing)
    analyse, returned = names["get_dependant"], names["get_typed_return_annotation"]
    known: dict[Any, Dependant] = {}
    known_returned: dict[Any, Any] = {}

    def get_dependant(*, path: str, call: Callable[..., Any], **named: Any) -> Dependant:
        key = (path, repr(named), _signature_key(call))
        if key not in known:
            found: Dependant = analyse(path=path, call=call, **named)
            if found.dependencies:
                return found
            known[key] = found
        return replace(known[key], call=call, dependencies=[])

    def get_typed_return_annotation(call: Callable[..., Any]) -> Any:
        key = _signature_key(call)
        if key not in known_returned:
            known_returned[key] = returned(call)
        return known_returned[key]

    names["get_dependant"] = get_dependant
    names["get_typed_return_annotation"] = get_typed_return_annotation


def _signature_key(call: Callable[..., Any]) -> object:
    """Return a value that two functions with the same signature share: that of the same code, bound or not."""
    inner: Any = inspect.unwrap(call)
    if not hasattr(inner, "__code__"):
        return inner
    written = repr((inner.__defaults__, inner.__kwdefaults__, inner.__annotations__))
    return isinstance(inner, MethodType), inner.__code__, written
