"""The router of the public pages: unsubscribe, confirm, preferences, requests, survey, join, and a mail's links."""

from fastapi import APIRouter, Response

from nurture.app.services import Services
from nurture.web.pages import survey
from nurture.web.pages.clicks import MailLinks
from nurture.web.pages.confirmed_requests import PATHS, RequestPages
from nurture.web.pages.join import JoinPages
from nurture.web.pages.preferences import PreferencePages
from nurture.web.pages.public_dispatch import PublicDispatcher
from nurture.web.pages.unsubscribe import ConsentPages


class PublicPages:
    """The public pages of one application."""

    def __init__(self, services: Services) -> None:
        """Use these services for every request."""
        self._dispatcher = PublicDispatcher(services)

    def routes(self) -> APIRouter:
        """Return the router with all public pages."""
        router = APIRouter(tags=["public pages"], default_response_class=Response)
        request_pages, preferences = RequestPages(self._dispatcher), PreferencePages(self._dispatcher)
        consent_pages = ConsentPages(self._dispatcher, request_pages)
        add = self._dispatcher.add
        add(router, "/u/{token}", "unsubscribe", consent_pages.show_unsubscribe, consent_pages.unsubscribe)
        add(router, "/confirm/{token}", "confirm", consent_pages.show_confirm, consent_pages.confirm)
        add(router, "/object/{token}", "object", request_pages.show_objection, request_pages.object)
        add(router, "/p/{token}", "preferences", preferences.show, preferences.save)
        for act, path in PATHS.items():
            add(
                router,
                f"/p/{{token}}/{path}",
                "preferences",
                request_pages.show_route(act),
                request_pages.ask_route(act),
            )
        add(router, "/s/{token}", "survey", survey.show, survey.answer)
        JoinPages(self._dispatcher).add(router)
        MailLinks(self._dispatcher).add(router)
        return router
