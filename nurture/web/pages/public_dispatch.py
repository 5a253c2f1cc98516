"""Dispatch requests to the public pages: verify the token, load the person, run one transaction, count the outcome.

GET and HEAD show a page and change nothing, because programs follow links. Only a POST changes anything; it needs
nothing but the signed token: no cookie, no redirect, safe to repeat (RFC 8058). Every invalid token gets the same
page. Each request is counted once, by its outcome, as `nurture_items_total{room="pages"}`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app.event_body import TooLarge
from nurture.app.services import Services
from nurture.consent import from_pages
from nurture.contacts.locking import run_without_lost_race
from nurture.domain.bot_detection import Agent, LinkRequestKind, classify_agent
from nurture.domain.errors import Transient
from nurture.domain.signing import verify_token
from nurture.feedback import clicks
from nurture.reports.metrics import count
from nurture.runtime.log import get_logger
from nurture.web.brand import active_playbook, brand_of
from nurture.web.pages.page_request import PageContext, invalid_link_page, notice_page
from nurture.web.pages.words import words_for
from nurture.web.request import read_form

_log = get_logger("pages")
T = TypeVar("T")
Form = Mapping[str, list[str]]
#: Returns a page; reads only.
ShowPage = Callable[[sa.Connection, PageContext, Request], Response]
#: Processes a submitted form and returns the response.
SubmitForm = Callable[[sa.Connection, PageContext, Form], Response]

#: Outcome of a request to a public page -> what it means. The outcomes are the counter's reasons.
OUTCOMES: Final[Mapping[str, str]] = {
    "shown": "a page was shown; nothing changed",
    "done": "a form was processed, or had been processed already",
    "followed": "a link of a mail was followed, or its picture loaded; nothing changed",
    "invalid": "the token was not signed for this page; nothing changed",
    "spent": "the person withdrew the topic after asking for it; nothing changed",
    "suppressed": "a yes does not lift what stops the person's mail, as after a complaint; nothing changed",
    "expired": "the link has expired; nothing changed",
    "gone": "the person was erased or does not exist; nothing changed",
    "unread": "the form was too large or incomplete; nothing changed",
    "trap": "a program filled in the field of the page to join that people do not see; nothing changed",
    "too_many": "the page to join had too many requests of one client, or of all; nothing changed",
    "away": "the database was unavailable; nothing changed",
}


class DeferredResponse(Response):
    """A placeholder for a response that is made after the transaction, by work that opens its own."""

    def __init__(self, work: Callable[[], Response]) -> None:
        """Store the work; it returns the response."""
        super().__init__()
        self.work = work


class PublicDispatcher:
    """Adds public pages to a router and runs their requests."""

    def __init__(self, services: Services) -> None:
        """Use these services for every request."""
        self.services = services

    def add(self, router: APIRouter, path: str, purpose: str, show: ShowPage, act: SubmitForm) -> None:
        """Add a page: GET and HEAD show it, POST submits its form. The API's description lists GET and POST."""
        name = path.strip("/").replace("{token}", "").strip("/").replace("/", "_") or purpose
        get, post = self._get_route(purpose, show, name), self._post_route(purpose, act, name)
        add_get_route(router, path, get, f"Show the {_page_name(purpose, path)} page")
        router.add_api_route(
            path, post, methods=["POST"], summary=f"Submit the {_page_name(purpose, path)} page's form"
        )

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work in a read-only transaction."""
        with self.services.database.read() as connection:
            return work(connection)

    def read_token(self, purpose: str, token: str) -> dict[str, Any] | None:
        """Return the payload of a token signed for this purpose; None for any other token."""
        return verify_token(self.services.keys, purpose, token)

    def record_click(self, message: int, kind: LinkRequestKind, link: str, request: Request) -> None:
        """Record a GET request as a click, an open or a page view. Without a database the record is lost."""
        if request.method != "GET" or not self.services.settings.tracking:
            return
        agent, now = _read_agent(request), self.services.clock.now()

        def work(connection: sa.Connection) -> None:
            loaded = active_playbook(self.services, connection)
            playbook = loaded.playbook if loaded else None
            clicks.note_click(
                connection, message, kind=kind, link=link, agent=agent, playbook=playbook, now=now
            )

        try:
            self.services.database.run(work)
        except (SQLAlchemyError, Transient) as error:
            _log.warning("a click was not recorded", kind=kind, error=type(error).__name__)

    def _get_route(self, purpose: str, show: ShowPage, name: str) -> Any:
        def get(token: str, request: Request) -> Response:
            seen: list[int] = []

            def work(connection: sa.Connection, context: PageContext) -> Response:
                if context.message is not None:
                    seen.append(context.message)
                return show(connection, context, request)

            answer = self._run(purpose, token, request, transaction=self.read, work=work, outcome="shown")
            if seen:
                link = f"{purpose}?{request.url.query}" if request.url.query else purpose
                self.record_click(seen[0], "look", link, request)
            return answer

        get.__name__ = f"show_{name}"
        return get

    def _post_route(self, purpose: str, act: SubmitForm, name: str) -> Any:
        async def post(token: str, request: Request) -> Response:
            try:
                form = await read_form(request)
            except (TooLarge, TimeoutError, ClientDisconnect) as error:
                return unreadable_form_page(error, request)
            return await asyncio.to_thread(
                self._run,
                purpose,
                token,
                request,
                transaction=lambda work: run_without_lost_race(self.services.database, work),
                work=lambda connection, context: act(connection, context, form),
                outcome="done",
            )

        post.__name__ = f"do_{name}"
        return post

    def _run(
        self,
        purpose: str,
        token: str,
        request: Request,
        *,
        transaction: Callable[[Callable[[sa.Connection], Response]], Response],
        work: Callable[[sa.Connection, PageContext], Response],
        outcome: str,
    ) -> Response:
        """Verify the token, load the person, and run the work, all in one transaction; count the outcome."""
        payload = self.read_token(purpose, token)
        contact_id = payload.get("c") if payload else None
        language = accept_language(request)
        if payload is None or not isinstance(contact_id, int):
            return count_outcome("invalid", invalid_link_page(language))

        def within(connection: sa.Connection) -> Response:
            loaded = active_playbook(self.services, connection)
            person = from_pages.find_page_contact(connection, contact_id)
            if person is None:
                gone = notice_page(
                    "gone", language, brand=brand_of(loaded, words_for(None, language)["lang"])
                )
                return with_outcome("gone", gone)
            context = PageContext.create(
                token, payload, person, loaded, language=language, now=self.services.clock.now()
            )
            return work(connection, context)

        try:
            answer = transaction(within)
            if isinstance(answer, DeferredResponse):
                answer = answer.work()
        except (SQLAlchemyError, Transient):
            return count_outcome("away", notice_page("away", language, status=503))
        return count_outcome(outcome, answer)


def add_get_route(router: APIRouter, path: str, show: Callable[..., Response], summary: str) -> None:
    """Add a GET and HEAD route that the API's description lists once."""
    router.add_api_route(path, show, methods=["GET"], summary=summary)
    router.add_api_route(path, show, methods=["HEAD"], include_in_schema=False)


def accept_language(request: Request) -> str:
    """Return the request's Accept-Language header."""
    return request.headers.get("accept-language", "")


def with_outcome(outcome: str, answer: Response) -> Response:
    """Return the response, marked with an outcome other than its request's usual one."""
    answer.outcome = outcome  # type: ignore[attr-defined]
    return answer


def count_outcome(outcome: str, answer: Response) -> Response:
    """Count the request's outcome (the response's own mark, if any) and return the response."""
    count("pages", {getattr(answer, "outcome", outcome): 1})
    return answer


def _read_agent(request: Request) -> Agent:
    """Return the kind of client by its headers: a person's browser, a prefetch, or a program."""
    headers = request.headers
    purpose = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return classify_agent(headers.get("user-agent", ""), purpose)


def unreadable_form_page(error: Exception, request: Request) -> Response:
    """Return the page for a form that was too large or incomplete, and close the connection."""
    status = 413 if isinstance(error, TooLarge) else 408
    answer = notice_page("unread", accept_language(request), status=status)
    answer.headers["Connection"] = "close"
    return count_outcome("unread", answer)


def _page_name(purpose: str, path: str) -> str:
    below = path.partition("{token}")[2].strip("/")
    return f"{purpose} {below}".strip()
