"""The page on which somebody answers a question that a mail asked."""

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages
from nurture.web.pages.page_request import Visit
from nurture.web.pages.public_dispatch import Form

#: Of a survey's comment; the form says the same.
COMMENT_CHARACTERS_MAX = 2_000
ANSWER_CHARACTERS_MAX = 80


def show(_connection: sa.Connection, visit: Visit, request: Request) -> Response:
    """Show the question, with the answer that the link brought along chosen."""
    said = request.query_params.get("answer") or str(visit.payload.get("a", ""))
    return _page(visit, said[:ANSWER_CHARACTERS_MAX])


def answer(connection: sa.Connection, visit: Visit, form: Form) -> Response:
    """Record an answer."""
    said = (form.get("score") or form.get("answer") or [""])[0].strip()[:ANSWER_CHARACTERS_MAX]
    if not said:
        return _page(visit, "", missing=True)
    from_pages.answer_survey(
        connection,
        visit.person,
        survey=str(visit.payload.get("s") or from_pages.load_measure_name(connection, visit.message)),
        answer=said,
        comment=(form.get("comment") or [""])[0].strip()[:COMMENT_CHARACTERS_MAX],
        message=visit.message,
        now=visit.now,
    )
    return visit.notice(visit.words["surveyed_title"], visit.words["surveyed_lead"])


def _page(visit: Visit, said: str, *, missing: bool = False) -> Response:
    score = from_pages.parse_score(said)
    answer = said if said and score is None else None
    strings = visit.brand.strings
    title = strings.get(f"answer_{answer}") or strings.get(f"persona_{answer}") or answer
    question = (
        visit.say("survey_score", brand=visit.brand.name) if answer is None else visit.words["survey_title"]
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
