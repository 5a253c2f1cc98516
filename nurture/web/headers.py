"""Middleware: safe default headers for every response, and no address that no database can look up."""

from collections.abc import MutableMapping
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: For responses that no browser displays: load nothing, store nothing, sniff no type, send no referrer.
DEFAULT_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class DefaultHeaders:
    """ASGI middleware that adds the default headers that a response lacks."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application and complete the headers of its response."""

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(message)
            await send(message)

        await self._app(scope, receive, complete if scope["type"] == "http" else send)


def _complete(message: MutableMapping[str, Any]) -> None:
    headers = list(message.get("headers", ()))
    present = {name.lower() for name, _ in headers}
    message["headers"] = [*headers, *(pair for pair in DEFAULT_HEADERS if pair[0] not in present)]


class RefuseNul:
    """ASGI middleware that answers 400 to an address with a NUL character, which no database stores."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, but for an address with a NUL in its path or query."""
        if scope["type"] == "http" and ("\x00" in scope["path"] or b"%00" in scope["query_string"]):
            response = Response("The address contains a NUL character.\n", 400, media_type="text/plain")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
