"""`POST /v1/send/email`: Customer.io's transactional API, as its clients send it."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app import transactional
from nurture.app.event_body import NotJson, TooLarge, repair
from nurture.app.group_commit import Unavailable
from nurture.app.ingest import Intake
from nurture.app.services import Services
from nurture.database.engine import encode
from nurture.domain.errors import InputError, NotFoundError, Transient, UserError
from nurture.domain.instant import SECOND
from nurture.web.api.segment import RETRY_SECONDS, IngestContext
from nurture.web.request import inflate_body, read_body

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The request is durable. `delivery_id` is the request id in the ledger (`nurture messages`)."
    },
    400: {"description": "The request is invalid; the reason names the field."},
    401: {"description": "The key is missing or lacks scope `send`."},
    404: {"description": "There is no such transactional measure."},
    408: {"description": "The body did not arrive in time."},
    413: {"description": "The body is too large."},
    503: {
        "description": "The database is unavailable; nothing was stored. Send the same request again after Retry-After."
    },
}
_BODY: dict[str, Any] = {
    "security": [{"appKey": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["transactional_message_id", "to", "identifiers"],
                    "properties": {
                        "transactional_message_id": {
                            "type": "string",
                            "description": "a measure's path, or its name",
                        },
                        "to": {"type": "string", "format": "email"},
                        "identifiers": {
                            "type": "object",
                            "properties": {"id": {"type": "string"}, "email": {"type": "string"}},
                        },
                        "message_data": {"type": "object"},
                        "send_at": {"type": "integer"},
                    },
                },
                "example": {
                    "transactional_message_id": "customer/any/order_confirmation",
                    "to": "ada@example.com",
                    "identifiers": {"id": "user-1"},
                    "message_data": {"order_id": "o-1", "total": "19.90"},
                },
            }
        },
    },
}


def routes(services: Services, context: IngestContext) -> APIRouter:
    """Return the router with the endpoint."""
    router = APIRouter(tags=["Customer.io transactional API"])

    @router.post(
        "/v1/send/email",
        summary="Send one transactional mail",
        description="Bearer authentication with a key of scope `send`. The same Idempotency-Key sends once.",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def send_email(request: Request) -> Response:
        try:
            return await _send(services, context, request)
        except TooLarge as error:
            return _response(413, str(error), {"Connection": "close"})
        except (TimeoutError, ClientDisconnect):
            return _response(408, "the body did not arrive; send it again", {"Connection": "close"})
        except NotFoundError as error:
            return _response(404, str(error))
        except (NotJson, ValueError, UserError) as error:
            return _response(400, str(error))
        except (Unavailable, SQLAlchemyError, Transient) as error:
            reason = str(error) if isinstance(error, Unavailable) else "the database is unavailable"
            return _response(503, reason, {"Retry-After": RETRY_SECONDS})

    return router


async def _send(services: Services, context: IngestContext, request: Request) -> Response:
    principal = await context.keys.authenticate(request, "send")
    if principal is None:
        reason = "send a key of scope send as Bearer: nurture access key add NAME --scope send"
        return _response(401, reason, {"WWW-Authenticate": "Bearer"})
    body = await inflate_body(await read_body(request), encoding=request.headers.get("content-encoding", ""))
    fields = await asyncio.to_thread(lambda: json.loads(repair(body)))
    if not isinstance(fields, dict):
        raise InputError("the body must be a JSON object")
    now = context.clock.now()
    identifier = _request_id(request, principal.actor)
    events = await asyncio.to_thread(
        transactional.read_request, services, fields, source=principal.source, request=identifier, now=now
    )
    await context.commit.put(Intake(events=events))
    return _response(200, body={"delivery_id": identifier, "queued_at": now // SECOND})


def _request_id(request: Request, actor: str) -> str:
    """Return the request id: made from the Idempotency-Key, so that a repetition sends nothing twice, or random."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return secrets.token_hex(12)
    if len(key) > 100 or not key.isprintable():
        raise InputError("Idempotency-Key: at most 100 printable characters")
    return f"{actor}:{key}"


def _response(
    status: int,
    reason: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    body: Mapping[str, Any] | None = None,
) -> Response:
    """Return the response as Customer.io's clients expect it: the delivery, or an error object."""
    text = encode(body if body is not None else {"meta": {"error": reason}})
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(text, status_code=status, media_type="application/json", headers=all_headers)
