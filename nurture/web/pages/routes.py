"""The pages behind the links of a mail, put together: unsubscribe, confirm, preferences, survey, click, open."""

from fastapi import APIRouter, Response

from nurture.app.services import Services
from nurture.web.pages import survey
from nurture.web.pages.clicks import Follow
from nurture.web.pages.confirmed_requests import PATHS, StepPages
from nurture.web.pages.preferences import PreferencePages
from nurture.web.pages.public_dispatch import Gate
from nurture.web.pages.unsubscribe import ConsentPages


class PublicPages:
    """The pages of one application."""

    def __init__(self, services: Services) -> None:
        """Keep what the pages are made from."""
        self._gate = Gate(services)

    def routes(self) -> APIRouter:
        """Return the pages' routes."""
        router = APIRouter(tags=["public pages"], default_response_class=Response)
        steps, preferences = StepPages(self._gate), PreferencePages(self._gate)
        consenting = ConsentPages(self._gate, steps)
        add = self._gate.add
        add(router, "/u/{token}", "unsubscribe", consenting.show_unsubscribe, consenting.unsubscribe)
        add(router, "/confirm/{token}", "confirm", consenting.show_confirm, consenting.confirm)
        add(router, "/p/{token}", "preferences", preferences.show, preferences.save)
        for act, path in PATHS.items():
            add(router, f"/p/{{token}}/{path}", "preferences", steps.shower(act), steps.asker(act))
        add(router, "/s/{token}", "survey", survey.show, survey.answer)
        Follow(self._gate).add(router)
        return router
