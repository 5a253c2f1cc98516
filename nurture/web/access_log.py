"""Middleware: one line for each request, with the route and never the address, which may hold a person's data."""

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nurture.runtime.clock import monotonic
from nurture.runtime.log import get_logger

#: The key of `scope` under which authentication notes the name of the request's key.
KEY_NAME: Final = "nurture.key"
#: Asked every few seconds by machines; logged at the level `debug`.
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics", "/static/nurture.css", "/brand.css"})
_log = get_logger("http")


class AccessLog:
    """ASGI middleware that logs method, route, status, milliseconds and the name of the key."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, then log the request; one that raises is logged with status 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = monotonic(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            _write(scope, status, seconds=monotonic() - began)


def _write(scope: MutableMapping[str, Any], status: int, *, seconds: float) -> None:
    # The pattern of the route, such as `/c/{token}`; an address that no route knows may hold anything.
    path = getattr(scope.get("route"), "path", "") or "unknown"
    values: dict[str, Any] = {
        "method": scope["method"],
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if KEY_NAME in scope:
        values["key"] = scope[KEY_NAME]
    level = _log.warning if status >= 500 else _log.debug if path in _QUIET else _log.info
    level("request", **values)
