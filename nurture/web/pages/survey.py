"""The survey page: a person answers a question of a mail."""

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages
from nurture.web.pages.page_request import PageContext
from nurture.web.pages.public_dispatch import Form

#: Longest comment; the form has the same limit.
COMMENT_CHARACTERS_MAX = 2_000
ANSWER_CHARACTERS_MAX = 80


def show(_connection: sa.Connection, context: PageContext, request: Request) -> Response:
    """Show the question, with the link's answer selected."""
    value = request.query_params.get("answer") or str(context.payload.get("a", ""))
    return _render(context, value[:ANSWER_CHARACTERS_MAX])


def answer(connection: sa.Connection, context: PageContext, form: Form) -> Response:
    """Record the answer and its comment; without an answer, show the form again."""
    value = (form.get("score") or form.get("answer") or [""])[0].strip()[:ANSWER_CHARACTERS_MAX]
    if not value:
        return _render(context, "", missing=True)
    from_pages.answer_survey(
        connection,
        context.person,
        survey=str(context.payload.get("s") or from_pages.load_measure_name(connection, context.message)),
        answer=value,
        comment=(form.get("comment") or [""])[0].strip()[:COMMENT_CHARACTERS_MAX],
        message=context.message,
        now=context.now,
    )
    return context.notice(context.words["surveyed_title"], context.words["surveyed_lead"])


def _render(context: PageContext, value: str, *, missing: bool = False) -> Response:
    score = from_pages.parse_score(value)
    answer = value if value and score is None else None
    strings = context.brand.strings
    title = strings.get(f"answer_{answer}") or strings.get(f"persona_{answer}") or answer
    question = (
        context.text("survey_score", brand=context.brand.name)
        if answer is None
        else context.words["survey_title"]
    )
    return context.render(
        "survey",
        question=question,
        score=score,
        answer=answer,
        answer_title=title,
        missing=missing,
        action=f"/s/{context.token}",
    )
