"""What a mail's own links load or follow: the click, which leads on, and the picture that tells of an open.

Both are GETs, so both are telemetry: a touch is kept and judged later (`flow.touches`), and nothing waits for
it or depends on it. The way on is read from the mail; nothing in a request can name it.
"""

from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import SQLAlchemyError

from nurture.flow import touches
from nurture.web.gate import Gate, add_view, counted, language_of
from nurture.web.pages import PUBLIC_HEADERS
from nurture.web.visit import nowhere, plain

#: A transparent GIF of one pixel.
PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


class Follow:
    """The click and the picture."""

    def __init__(self, gate: Gate) -> None:
        """Keep the way in."""
        self._gate = gate

    def add(self, router: APIRouter) -> None:
        """Add both."""
        add_view(router, "/c/{token}", self.click, "Go where a mail's link leads")
        add_view(router, "/o/{token}", self.open, "The picture of a mail that was opened")

    def click(self, token: str, request: Request) -> Response:
        """Redirect to where the mail's own call to action leads, and to nothing that a request could name."""
        message = self._message("click", token)
        language = language_of(request)
        if message is None:
            return counted("invalid", nowhere(language))
        try:
            target = self._gate.read(lambda connection: touches.target_of(connection, message))
        except SQLAlchemyError:
            return counted("away", plain("away", language, status=503))
        if target is None or urlsplit(target).scheme not in ("http", "https"):
            return counted("invalid", nowhere(language))
        self._gate.touched(message, "click", "", request)
        return counted("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def open(self, token: str, request: Request) -> Response:
        """Return the one transparent pixel, the same for everybody."""
        message = self._message("open", token)
        if message is not None:
            self._gate.touched(message, "open", "", request)
        picture = Response(PIXEL, media_type="image/gif", headers=PUBLIC_HEADERS)
        return counted("followed" if message is not None else "invalid", picture)

    def _message(self, purpose: str, token: str) -> int | None:
        payload = self._gate.payload(purpose, token)
        message = payload.get("m") if payload else None
        return message if isinstance(message, int) else None
