"""The one way in to the pages behind the links of a mail: token, person, transaction, and what is counted.

A GET or HEAD shows and never changes anything, because programs follow links; only a POST acts, with nothing
but the signed token: no cookie, no redirect, safe to repeat (RFC 8058). A token that was not signed for its
page leads to one plain page, whatever is wrong with it. Every request is counted once, by its OUTCOME, as
`nurture_items_total{room="pages"}`.
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
from nurture.web.pages.page_request import Visit, nowhere, plain
from nurture.web.pages.words import words_for
from nurture.web.request import read_form

_log = get_logger("pages")
T = TypeVar("T")
Form = Mapping[str, list[str]]
#: Shows a page; reads only.
Show = Callable[[sa.Connection, Visit, Request], Response]
#: Does what a page says; returns the answer.
Act = Callable[[sa.Connection, Visit, Form], Response]

#: How a request to a public page ends: the reasons of the counter, and what each means.
OUTCOMES: Final[Mapping[str, str]] = {
    "shown": "a page was shown; nothing changed",
    "done": "a form was carried out, or was so already",
    "followed": "a link of a mail led on, or its picture was loaded; nothing changed",
    "invalid": "the token was not made here for this page; nothing changed",
    "expired": "the link was good for a while, and that is over; nothing changed",
    "gone": "the person was erased, or is nobody; nothing changed",
    "unread": "the form was too large or never came; nothing changed",
    "away": "the database was away; nothing changed",
}


class Later(Response):
    """Stands for an answer that is made after the transaction, by work that opens its own."""

    def __init__(self, work: Callable[[], Response]) -> None:
        """Keep the work."""
        super().__init__()
        self.work = work


class Gate:
    """The way in for all pages of one application."""

    def __init__(self, services: Services) -> None:
        """Keep what the pages are made from."""
        self.services = services

    def add(self, router: APIRouter, path: str, purpose: str, show: Show, act: Act) -> None:
        """Add a page: GET and HEAD show it, POST acts; the API's description names GET and POST."""
        name = path.strip("/").replace("{token}", "").strip("/").replace("/", "_") or purpose
        get, post = self._shower(purpose, show, name), self._doer(purpose, act, name)
        add_view(router, path, get, f"Show the {_titled(purpose, path)} page")
        router.add_api_route(
            path, post, methods=["POST"], summary=f"Do what the {_titled(purpose, path)} page says"
        )

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Do the work in a transaction that only reads."""
        with self.services.database.read() as connection:
            return work(connection)

    def payload(self, purpose: str, token: str) -> dict[str, Any] | None:
        """Return what a token for this page says; None for one that was not signed for it."""
        return verify_token(self.services.keys, purpose, token)

    def touched(self, message: int, kind: LinkRequestKind, link: str, request: Request) -> None:
        """Keep a GET as telemetry; nobody waits for it, and without a database it is lost."""
        if request.method != "GET" or not self.services.settings.tracking:
            return
        agent, now = _agent(request), self.services.clock.now()

        def work(connection: sa.Connection) -> None:
            loaded = active_playbook(self.services, connection)
            playbook = loaded.playbook if loaded else None
            clicks.note(connection, message, kind=kind, link=link, agent=agent, playbook=playbook, now=now)

        try:
            self.services.database.run(work)
        except (SQLAlchemyError, Transient) as error:
            _log.warning("a touch was not kept", kind=kind, error=type(error).__name__)

    def _shower(self, purpose: str, show: Show, name: str) -> Any:
        def get(token: str, request: Request) -> Response:
            seen: list[int] = []

            def work(connection: sa.Connection, visit: Visit) -> Response:
                if visit.message is not None:
                    seen.append(visit.message)
                return show(connection, visit, request)

            answer = self._answer(purpose, token, request, transaction=self.read, work=work, outcome="shown")
            if seen:
                link = f"{purpose}?{request.url.query}" if request.url.query else purpose
                self.touched(seen[0], "look", link, request)
            return answer

        get.__name__ = f"show_{name}"
        return get

    def _doer(self, purpose: str, act: Act, name: str) -> Any:
        async def post(token: str, request: Request) -> Response:
            try:
                form = await read_form(request)
            except (TooLarge, TimeoutError, ClientDisconnect) as error:
                return _unread(error, request)
            return await asyncio.to_thread(
                self._answer,
                purpose,
                token,
                request,
                transaction=lambda work: run_without_lost_race(self.services.database, work),
                work=lambda connection, visit: act(connection, visit, form),
                outcome="done",
            )

        post.__name__ = f"do_{name}"
        return post

    def _answer(
        self,
        purpose: str,
        token: str,
        request: Request,
        *,
        transaction: Callable[[Callable[[sa.Connection], Response]], Response],
        work: Callable[[sa.Connection, Visit], Response],
        outcome: str,
    ) -> Response:
        """Verify the token, find the person, and do the work, all in one transaction."""
        payload = self.payload(purpose, token)
        contact_id = payload.get("c") if payload else None
        language = language_of(request)
        if payload is None or not isinstance(contact_id, int):
            return counted("invalid", nowhere(language))

        def within(connection: sa.Connection) -> Response:
            loaded = active_playbook(self.services, connection)
            person = from_pages.find_page_contact(connection, contact_id)
            if person is None:
                gone = plain("gone", language, brand=brand_of(loaded, words_for(None, language)["lang"]))
                return marked("gone", gone)
            visit = Visit.of(token, payload, person, loaded, language=language, now=self.services.clock.now())
            return work(connection, visit)

        try:
            answer = transaction(within)
            if isinstance(answer, Later):
                answer = answer.work()
        except (SQLAlchemyError, Transient):
            return counted("away", plain("away", language, status=503))
        return counted(outcome, answer)


def add_view(router: APIRouter, path: str, show: Callable[..., Response], summary: str) -> None:
    """Add a page that GET and HEAD show; the API's description names it once."""
    router.add_api_route(path, show, methods=["GET"], summary=summary)
    router.add_api_route(path, show, methods=["HEAD"], include_in_schema=False)


def language_of(request: Request) -> str:
    """Return the languages the browser asks for."""
    return request.headers.get("accept-language", "")


def marked(outcome: str, answer: Response) -> Response:
    """Return the answer with another outcome than its kind of request usually has."""
    answer.outcome = outcome  # type: ignore[attr-defined]
    return answer


def counted(outcome: str, answer: Response) -> Response:
    """Count a request once, by how it ended."""
    count("pages", {getattr(answer, "outcome", outcome): 1})
    return answer


def _agent(request: Request) -> Agent:
    """Return who asks, by the words of the request's headers."""
    headers = request.headers
    purpose = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return classify_agent(headers.get("user-agent", ""), purpose)


def _unread(error: Exception, request: Request) -> Response:
    """Answer a form that was too large or never came, and hang up."""
    status = 413 if isinstance(error, TooLarge) else 408
    answer = plain("unread", language_of(request), status=status)
    answer.headers["Connection"] = "close"
    return counted("unread", answer)


def _titled(purpose: str, path: str) -> str:
    below = path.partition("{token}")[2].strip("/")
    return f"{purpose} {below}".strip()
