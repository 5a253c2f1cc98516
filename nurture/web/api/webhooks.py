"""`POST /webhooks/{provider}`: calls of mail providers and shops, verified and recorded before the response."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.event_body import TooLarge
from nurture.app.services import Services
from nurture.app.webhooks.answers import BODY_BYTES_MAX, WebhookAnswer
from nurture.app.webhooks.providers import Webhooks
from nurture.domain.errors import Transient
from nurture.inbound.fetch import Fetcher
from nurture.inbound.providers import Call
from nurture.web.request import read_body

_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "the body cannot be read"},
    401: {"description": "the call carries no signature; of a shop also a wrong or old one"},
    403: {"description": "the signature is wrong or too old, or another account's"},
    404: {"description": "this provider or shop is unknown or has no key in NURTURE_WEBHOOK_SECRETS"},
    413: {"description": "the body is larger than 2 MB"},
    503: {"description": "the database is unavailable, or a confirmation could not be sent: call again"},
}


def routes(services: Services, *, fetch: Fetcher | None = None) -> APIRouter:
    """Return the router with the endpoint. fetch: downloads Amazon's certificates."""
    router = APIRouter(tags=["feedback"], default_response_class=Response)
    webhooks = Webhooks(services, fetch=fetch)

    @router.post(
        "/webhooks/{provider}",
        summary="Accept the calls of a mail provider (ses, sendgrid, mailgun, postmark, resend) or of a shop "
        "(shopify, woocommerce, stripe)",
        responses=_ANSWERS,
    )
    async def webhook(provider: str, request: Request) -> Response:
        if not webhooks.is_on(provider):
            return _text_response(webhooks.refuse("off", provider))
        try:
            body = await read_body(request, at_most=BODY_BYTES_MAX)
        except TooLarge:
            return _text_response(webhooks.refuse("oversized", provider))
        headers = _headers_of(request)
        try:
            return _text_response(
                await asyncio.to_thread(webhooks.process_call, provider, Call(body, headers))
            )
        except (Transient, SQLAlchemyError):
            return _text_response(WebhookAnswer(503, "The database is unavailable; try again in a moment."))

    return router


def _headers_of(request: Request) -> dict[str, str]:
    """Return the headers by name in lower case; of one given twice both lines, so that it fits no signature."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = f"{headers[name.lower()]}\n{value}" if name.lower() in headers else value
    return headers


def _text_response(answer: WebhookAnswer) -> Response:
    headers = {"Cache-Control": "no-store"}
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Basic"
    if answer.status == 413:
        headers["Connection"] = "close"
    return Response(f"{answer.text}\n", answer.status, headers, "text/plain")
