"""The page to join: anybody may ask for a topic, and confirms it by mail.

It needs no token and shows nothing of anybody: the answer is the same for an address that we know, that has the topic
already and that was asked today. A shop may post its own form here: `email`, and the field of the trap left empty.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app.event_body import TooLarge
from nurture.consent.from_pages import store_shown_wording
from nurture.consent.join_requests import PAGE, JoinRequest, ask_to_confirm, has_confirmation
from nurture.domain.consent.wording import Wording
from nurture.domain.errors import Transient
from nurture.domain.identity import canonical_email
from nurture.playbook import LoadedPlaybook
from nurture.web.brand import Brand, active_playbook, brand_of
from nurture.web.html import PUBLIC_HEADERS, render_page
from nurture.web.pages.join_limits import JoinLimits
from nurture.web.pages.page_request import invalid_link_page, mask_address, notice_page
from nurture.web.pages.public_dispatch import (
    Form,
    PublicDispatcher,
    accept_language,
    add_get_route,
    count_outcome,
    unreadable_form_page,
    with_outcome,
)
from nurture.web.pages.words import words_for
from nurture.web.request import client_address, read_form

#: A field that people do not see: whatever fills it in is a program.
TRAP: Final = "website"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?")


class JoinPages:
    """The page of each topic that the active playbook has."""

    def __init__(self, dispatcher: PublicDispatcher) -> None:
        """Use this dispatcher's services."""
        self._services = dispatcher.services
        self._limits = JoinLimits()

    def add(self, router: APIRouter) -> None:
        """Add GET, HEAD and POST of `/join/{topic}`."""

        def show_join(topic: str, request: Request) -> Response:
            return self._read(topic, request)

        async def do_join(topic: str, request: Request) -> Response:
            try:
                form = await read_form(request)
            except (TooLarge, TimeoutError, ClientDisconnect) as error:
                return unreadable_form_page(error, request)
            return await asyncio.to_thread(self._submit, topic, request, form)

        add_get_route(router, "/join/{topic}", show_join, "Show the page to ask for a topic")
        router.add_api_route("/join/{topic}", do_join, methods=["POST"], summary="Ask for a topic by mail")

    def _read(self, topic: str, request: Request) -> Response:
        try:
            with self._services.database.read() as connection:
                page = self._page(connection, topic, request)
        except (SQLAlchemyError, Transient):
            return _away(request)
        if page is None:
            return count_outcome("invalid", invalid_link_page(accept_language(request)))
        return count_outcome("shown", page.form())

    def _submit(self, topic: str, request: Request, form: Form) -> Response:
        try:
            answer = self._services.database.run(
                lambda connection: self._ask(connection, topic, request, form)
            )
        except (SQLAlchemyError, Transient):
            return _away(request)
        return count_outcome("done", answer)

    def _ask(self, connection: sa.Connection, topic: str, request: Request, form: Form) -> Response:
        page = self._page(connection, topic, request, chosen=_first(form, "lang"))
        if page is None:
            return with_outcome("invalid", invalid_link_page(accept_language(request)))
        given = _first(form, "email")
        address = canonical_email(given)
        if _first(form, TRAP):
            # A program learns nothing from the answer.
            return with_outcome("trap", page.sent(given))
        if address is None:
            return with_outcome("unread", page.form(given, fault="address_fault", status=422))
        now = self._services.clock.now()
        if not self._limits.take(client_address(request), now=now):
            return with_outcome("too_many", page.form(given, fault="join_too_many", status=429))
        wording = store_shown_wording(connection, page.wording, _first(form, "wording"), now=now)
        ask_to_confirm(connection, JoinRequest(topic, address, page.language, wording), now=now)
        return page.sent(address)

    def _page(
        self, connection: sa.Connection, topic: str, request: Request, *, chosen: str = ""
    ) -> "_JoinPage | None":
        """Return the page of a topic in the visitor's language; None for a topic that nobody can ask for here."""
        loaded = active_playbook(self._services, connection)
        if loaded is None or not has_confirmation(loaded.playbook, topic):
            return None
        wanted = chosen or request.query_params.get("lang", "")
        return _JoinPage(loaded, topic, _language_of(loaded, wanted, accept_language(request)))


class _JoinPage:
    """The page of one topic in one language."""

    def __init__(self, loaded: LoadedPlaybook, topic: str, language: str) -> None:
        self.language = language
        self._topic = topic
        self._words: Mapping[str, str] = words_for(language)
        self._brand: Brand = brand_of(loaded, language)

    @property
    def wording(self) -> Wording:
        """The words about consent that the page shows."""
        texts = (self._text("join_question"), self._brand.about(self._topic), self._text("join_lead"))
        return Wording(PAGE, self.language, (*texts, self._words["join_button"]))

    def form(self, given: str = "", *, fault: str = "", status: int = 200) -> Response:
        """Return the form; fault: the word for what is wrong with the address that was given."""
        values: dict[str, Any] = {
            "title": self._text("join_question"),
            "about": self._brand.about(self._topic),
            "lead": self._text("join_lead"),
            "fault": self._words[fault] if fault else "",
            "given": given[:254],
            "language": self.language,
            "wording": self.wording.version,
            "trap": TRAP,
            "action": f"/join/{self._topic}",
        }
        return self._render("join", status=status, **values)

    def sent(self, address: str) -> Response:
        """Return the answer to a request, whoever has the address."""
        lead = self._text("joined_lead").replace("{address}", mask_address(address[:254], self._words))
        return self._render(
            "notice",
            title=self._words["sent_title"],
            lead=lead,
            note=self._words["joined_note"],
            link=None,
        )

    def _text(self, key: str) -> str:
        return self._words[key].replace("{topic}", self._brand.title_of(self._topic))

    def _render(self, name: str, *, status: int = 200, **values: Any) -> Response:
        return render_page(
            f"public/{name}.html",
            status=status,
            headers=PUBLIC_HEADERS,
            words=self._words,
            brand=self._brand,
            **values,
        )


def _language_of(loaded: LoadedPlaybook, wanted: str, accepted: str) -> str:
    """Return the playbook's locale that fits best: the one asked for, the browser's first one, or the default."""
    locales = loaded.playbook.locales
    for text in (wanted, *(part.partition(";")[0].strip() for part in accepted.split(",")[:8])):
        if _LANGUAGE.fullmatch(text) is None:
            continue
        same = [locale for locale in locales if locale.lower() == text.lower()]
        language = text.partition("-")[0].lower()
        same += [locale for locale in locales if locale.partition("-")[0].lower() == language]
        if same:
            return same[0]
    return loaded.playbook.default_locale


def _first(form: Form, name: str) -> str:
    return (form.get(name) or [""])[0].strip()


def _away(request: Request) -> Response:
    return count_outcome("away", notice_page("away", accept_language(request), status=503))
