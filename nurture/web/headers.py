"""The headers of every answer: what a route says itself stands, what it leaves out is the safest there is."""

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: For answers that no browser has to show: it loads nothing, keeps nothing, guesses no type, tells nobody.
SAFEST = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class SafeHeaders:
    """Adds what is missing to the headers of every answer; costs an event's reading nothing to speak of."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and complete the headers on the way back."""

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(message)
            await send(message)

        await self._app(scope, receive, complete if scope["type"] == "http" else send)


def _complete(message: MutableMapping[str, Any]) -> None:
    headers = list(message.get("headers", ()))
    said = {name.lower() for name, _ in headers}
    message["headers"] = [*headers, *(pair for pair in SAFEST if pair[0] not in said)]
