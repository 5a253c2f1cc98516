"""The pages behind the links of a mail: unsubscribe, confirm, preferences, survey, click.

A GET or HEAD shows and never changes anything, because programs follow links; only a POST acts, with nothing
but the signed token: no cookie, no redirect, safe to repeat (RFC 8058). A token that was not signed for its
page leads to one plain page, whatever is wrong with it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.services import Services
from nurture.domain.errors import Transient
from nurture.domain.token import sign, verify
from nurture.flow import acts
from nurture.web.brand import active_playbook, brand_of
from nurture.web.pages import PUBLIC_HEADERS
from nurture.web.request import read_form
from nurture.web.visit import Visit, nowhere, plain
from nurture.web.words import words_for

T = TypeVar("T")

#: Of a survey's comment; the form says the same.
COMMENT_CHARACTERS_MAX = 2_000
ANSWER_CHARACTERS_MAX = 80
#: A transparent GIF of one pixel.
PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


class PublicPages:
    """The pages of one application."""

    def __init__(self, services: Services) -> None:
        """Keep what the pages are made from."""
        self._services = services

    def routes(self) -> APIRouter:
        """Return the pages' routes."""
        router = APIRouter(tags=["public pages"], default_response_class=Response)
        for path, purpose, show, act in (
            ("/u/{token}", "unsubscribe", self._show_unsubscribe, self._unsubscribe),
            ("/confirm/{token}", "confirm", self._show_confirm, self._confirm),
            ("/p/{token}", "preferences", self._show_preferences, self._save_preferences),
            ("/s/{token}", "survey", self._show_survey, self._answer_survey),
        ):
            _add_page(router, path, self._shower(purpose, show), f"Show the {purpose} page")
            router.add_api_route(
                path, self._doer(purpose, act), methods=["POST"], summary=f"Do what the {purpose} page says"
            )
        _add_page(router, "/c/{token}", self._click, "Go where a mail's link leads")
        _add_page(router, "/o/{token}", self._open, "The picture of a mail that was opened")
        return router

    # ---- one way in, for all of them ---------------------------------------------------------------------

    def _shower(self, purpose: str, show: Callable[[sa.Connection, Visit, Request], Response]) -> Any:
        def get(token: str, request: Request) -> Response:
            return self._answer(
                purpose,
                token,
                request,
                self._read,
                lambda connection, visit: show(connection, visit, request),
            )

        get.__name__ = f"show_{purpose}"
        return get

    def _doer(
        self,
        purpose: str,
        act: Callable[[sa.Connection, Visit, dict[str, list[str]]], tuple[Response, set[int]]],
    ) -> Any:
        async def post(token: str, request: Request) -> Response:
            form = await read_form(request)
            rings: set[int] = set()

            def do(connection: sa.Connection, visit: Visit) -> Response:
                answer, shards = act(connection, visit, form)
                rings.update(shards)
                return answer

            answer = await asyncio.to_thread(
                self._answer, purpose, token, request, self._services.database.run, do
            )
            for shard in rings:
                self._services.bells.ring("inbox", str(shard))
            return answer

        post.__name__ = f"do_{purpose}"
        return post

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with self._services.database.read() as connection:
            return work(connection)

    def _answer(
        self,
        purpose: str,
        token: str,
        request: Request,
        transaction: Callable[[Callable[[sa.Connection], Response]], Response],
        work: Callable[[sa.Connection, Visit], Response],
    ) -> Response:
        """Verify the token, find the person, and do the work, all in one transaction."""
        payload = verify(self._services.keys, purpose, token)
        contact_id = payload.get("c") if payload else None
        language = request.headers.get("accept-language", "")
        if payload is None or not isinstance(contact_id, int):
            return nowhere(language)

        def within(connection: sa.Connection) -> Response:
            loaded = active_playbook(self._services, connection)
            person = acts.find_person(connection, contact_id)
            if person is None:
                return plain("gone", language, brand=brand_of(loaded, words_for(None, language)["lang"]))
            words = words_for(person.locale, language)
            brand = brand_of(loaded, person.locale or words["lang"])
            return work(connection, Visit(token, payload, person, brand, words, self._services.clock.now()))

        try:
            return transaction(within)
        except (SQLAlchemyError, Transient):
            return plain("away", language, status=503)

    def _suppression_key(self) -> bytes:
        return self._services.settings.suppression_secret

    def _preferences(self, visit: Visit) -> str:
        payload = (
            {"c": visit.person.id} if visit.message is None else {"c": visit.person.id, "m": visit.message}
        )
        return "/p/" + sign(self._services.keys, "preferences", payload)

    # ---- unsubscribe -------------------------------------------------------------------------------------

    def _show_unsubscribe(self, _connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        topic = visit.brand.title_of(visit.topic) if visit.topic else ""
        return visit.page(
            "unsubscribe",
            question=visit.say("unsubscribe_question", topic=topic or visit.words["everything"]),
            topic=topic,
            action=f"/u/{visit.token}",
            preferences=self._preferences(visit),
        )

    def _unsubscribe(
        self, connection: sa.Connection, visit: Visit, form: dict[str, list[str]]
    ) -> tuple[Response, set[int]]:
        # Mail programs post `List-Unsubscribe=One-Click`: the list is the topic of the mail.
        topic = None if form.get("scope") == ["all"] else visit.topic
        shards = acts.stop(
            connection,
            visit.person,
            topic,
            now=visit.now,
            evidence=visit.evidence,
            suppression_key=self._suppression_key(),
        )
        if topic:
            lead = visit.say("unsubscribed_topic", topic=visit.brand.title_of(topic))
        else:
            lead = visit.say("unsubscribed_all")
        link = {"href": self._preferences(visit), "text": visit.words["changed_mind"]}
        note = visit.words["transactional_note"]
        return visit.notice(visit.words["unsubscribed_title"], lead, note=note, link=link), shards

    # ---- confirm -----------------------------------------------------------------------------------------

    def _show_confirm(self, connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        topic = visit.topic or acts.asked_topic(connection, visit.message)
        if topic is None:
            return nowhere(visit.words["lang"])
        question = visit.say("confirm_question", topic=visit.brand.title_of(topic))
        return visit.page("confirm", question=question, action=f"/confirm/{visit.token}")

    def _confirm(
        self, connection: sa.Connection, visit: Visit, _form: dict[str, list[str]]
    ) -> tuple[Response, set[int]]:
        topic = visit.topic or acts.asked_topic(connection, visit.message)
        if topic is None:
            return nowhere(visit.words["lang"]), set()
        shards = acts.agree(
            connection,
            visit.person,
            topic,
            now=visit.now,
            evidence=visit.evidence,
            suppression_key=self._suppression_key(),
        )
        lead = visit.say("confirmed_lead", topic=visit.brand.title_of(topic))
        link = {"href": self._preferences(visit), "text": visit.words["choose_instead"]}
        return visit.notice(visit.words["confirmed_title"], lead, link=link), shards

    # ---- preferences -------------------------------------------------------------------------------------

    def _show_preferences(self, _connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        return self._preference_page(visit, {}, saved=False)

    def _preference_page(self, visit: Visit, changed: Mapping[str, str], *, saved: bool) -> Response:
        topics = [
            {
                "name": topic.name,
                "title": topic.title,
                "about": topic.about,
                "state": changed.get(topic.name, visit.person.state(topic.name)),
            }
            for topic in visit.brand.topics
        ]
        lead = visit.say("preferences_lead")
        return visit.page("preferences", topics=topics, lead=lead, action=f"/p/{visit.token}", saved=saved)

    def _save_preferences(
        self, connection: sa.Connection, visit: Visit, form: dict[str, list[str]]
    ) -> tuple[Response, set[int]]:
        """Make every topic of the page what it was left at; topics the person never spoke of and left off stay so."""
        if "none" in form:
            shards = acts.stop(
                connection,
                visit.person,
                None,
                now=visit.now,
                evidence=visit.evidence,
                suppression_key=self._suppression_key(),
            )
            changed = dict.fromkeys((topic.name for topic in visit.brand.topics), "withdrawn")
            return self._preference_page(visit, changed, saved=True), shards
        wanted = set(form.get("topic", ()))
        shards = set()
        changed = {}
        for topic in visit.brand.topics:
            act = acts.agree if topic.name in wanted else acts.stop
            if act is acts.stop and visit.person.state(topic.name) is None:
                continue
            shards |= act(
                connection,
                visit.person,
                topic.name,
                now=visit.now,
                evidence=visit.evidence,
                suppression_key=self._suppression_key(),
            )
            changed[topic.name] = "granted" if topic.name in wanted else "withdrawn"
        return self._preference_page(visit, changed, saved=True), shards

    # ---- survey ------------------------------------------------------------------------------------------

    def _show_survey(self, _connection: sa.Connection, visit: Visit, request: Request) -> Response:
        said = request.query_params.get("answer") or str(visit.payload.get("a", ""))
        return self._survey_page(visit, said[:ANSWER_CHARACTERS_MAX])

    def _survey_page(self, visit: Visit, said: str, *, missing: bool = False) -> Response:
        score = acts.score_of(said)
        answer = said if said and score is None else None
        strings = visit.brand.strings
        title = strings.get(f"answer_{answer}") or strings.get(f"persona_{answer}") or answer
        question = (
            visit.say("survey_score", brand=visit.brand.name)
            if answer is None
            else visit.words["survey_title"]
        )
        return visit.page(
            "survey",
            question=question,
            score=score,
            answer=answer,
            answer_title=title,
            missing=missing,
            action=f"/s/{visit.token}",
        )

    def _answer_survey(
        self, connection: sa.Connection, visit: Visit, form: dict[str, list[str]]
    ) -> tuple[Response, set[int]]:
        said = (form.get("score") or form.get("answer") or [""])[0].strip()[:ANSWER_CHARACTERS_MAX]
        if not said:
            return self._survey_page(visit, "", missing=True), set()
        shards = acts.answer_survey(
            connection,
            visit.person,
            survey=str(visit.payload.get("s") or acts.measure_of(connection, visit.message)),
            answer=said,
            comment=(form.get("comment") or [""])[0].strip()[:COMMENT_CHARACTERS_MAX],
            message=visit.message,
            now=visit.now,
        )
        return visit.notice(visit.words["surveyed_title"], visit.words["surveyed_lead"]), shards

    # ---- click -------------------------------------------------------------------------------------------

    def _click(self, token: str, request: Request) -> Response:
        """Redirect to where the mail's own call to action leads, and to nothing that a request could name."""
        payload = verify(self._services.keys, "click", token)
        message = payload.get("m") if payload else None
        language = request.headers.get("accept-language", "")
        if not isinstance(message, int):
            return nowhere(language)
        try:
            target = self._read(lambda connection: acts.target_of(connection, message))
        except SQLAlchemyError:
            return plain("away", language, status=503)
        if target is None or urlsplit(target).scheme not in ("http", "https"):
            return nowhere(language)
        return RedirectResponse(target, status_code=302, headers=PUBLIC_HEADERS)

    def _open(self, token: str) -> Response:  # noqa: ARG002 - the picture is the same for everybody
        """Return the one transparent pixel."""
        return Response(PIXEL, media_type="image/gif", headers=PUBLIC_HEADERS)


def _add_page(router: APIRouter, path: str, show: Callable[..., Response], summary: str) -> None:
    """Add a page that GET and HEAD show; the API's description names it once."""
    router.add_api_route(path, show, methods=["GET"], summary=summary)
    router.add_api_route(path, show, methods=["HEAD"], include_in_schema=False)
