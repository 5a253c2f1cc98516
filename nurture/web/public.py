"""The pages behind the links of a mail, put together: unsubscribe, confirm, preferences, survey, click, open."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.services import Services
from nurture.flow import acts
from nurture.web import survey
from nurture.web.consenting import ConsentPages
from nurture.web.gate import Gate, add_view, counted, language_of
from nurture.web.pages import PUBLIC_HEADERS
from nurture.web.preferences import PreferencePages
from nurture.web.visit import nowhere, plain

#: A transparent GIF of one pixel.
PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


class PublicPages:
    """The pages of one application."""

    def __init__(self, services: Services) -> None:
        """Keep what the pages are made from."""
        self._gate = Gate(services)

    def routes(self) -> APIRouter:
        """Return the pages' routes."""
        router = APIRouter(tags=["public pages"], default_response_class=Response)
        consenting, preferences = ConsentPages(self._gate), PreferencePages(self._gate)
        add = self._gate.add
        add(router, "/u/{token}", "unsubscribe", consenting.show_unsubscribe, consenting.unsubscribe)
        add(router, "/confirm/{token}", "confirm", consenting.show_confirm, consenting.confirm)
        add(router, "/p/{token}", "preferences", preferences.show, preferences.save)
        add(router, "/s/{token}", "survey", survey.show, survey.answer)
        add_view(router, "/c/{token}", self._click, "Go where a mail's link leads")
        add_view(router, "/o/{token}", self._open, "The picture of a mail that was opened")
        return router

    # ---- click -------------------------------------------------------------------------------------------

    def _click(self, token: str, request: Request) -> Response:
        """Redirect to where the mail's own call to action leads, and to nothing that a request could name."""
        payload = self._gate.payload("click", token)
        message = payload.get("m") if payload else None
        language = language_of(request)
        if not isinstance(message, int):
            return counted("invalid", nowhere(language))
        try:
            target = self._gate.read(lambda connection: acts.target_of(connection, message))
        except SQLAlchemyError:
            return counted("away", plain("away", language, status=503))
        if target is None or urlsplit(target).scheme not in ("http", "https"):
            return counted("invalid", nowhere(language))
        return counted("followed", RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS))

    def _open(self, token: str) -> Response:  # noqa: ARG002 - the picture is the same for everybody
        """Return the one transparent pixel."""
        return counted("followed", Response(PIXEL, media_type="image/gif", headers=PUBLIC_HEADERS))
