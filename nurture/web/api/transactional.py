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
from nurture.app.event_body import NotJson, TooLarge, inflate, repair
from nurture.app.group_commit import Unavailable
from nurture.app.ingest import Intake
from nurture.app.services import Services
from nurture.database.engine import encode
from nurture.domain.errors import InputError, NotFoundError, Transient, UserError
from nurture.domain.instant import SECOND
from nurture.web.api.segment import RETRY_SECONDS, Door
from nurture.web.request import read_body

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Durable. `delivery_id` is the request id in the ledger (`nurture messages`)."},
    400: {"description": "What is asked cannot be done; the reason names the field."},
    401: {"description": "No key of scope `send`."},
    404: {"description": "No such transactional measure."},
    408: {"description": "The body did not arrive in time."},
    413: {"description": "Too large."},
    503: {"description": "The database is away; nothing was stored, send the same again after Retry-After."},
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


def routes(services: Services, door: Door) -> APIRouter:
    """Return the endpoint."""
    router = APIRouter(tags=["Customer.io transactional API"])

    @router.post(
        "/v1/send/email",
        summary="Send one transactional mail",
        description="Bearer authentication with a key of scope `send`. Idempotency-Key: the same key sends once.",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def send_email(request: Request) -> Response:
        try:
            return await _send(services, door, request)
        except TooLarge as error:
            return _answer(413, str(error), {"Connection": "close"})
        except (TimeoutError, ClientDisconnect):
            return _answer(408, "the body did not arrive; send it again", {"Connection": "close"})
        except NotFoundError as error:
            return _answer(404, str(error))
        except (NotJson, ValueError, UserError) as error:
            return _answer(400, str(error))
        except (Unavailable, SQLAlchemyError, Transient) as error:
            reason = str(error) if isinstance(error, Unavailable) else "the database is away"
            return _answer(503, reason, {"Retry-After": RETRY_SECONDS})

    return router


async def _send(services: Services, door: Door, request: Request) -> Response:
    bearer = await door.keys.bearer(request, "send")
    if bearer is None:
        said = "give a key of scope send as Bearer: nurture access key add NAME --scope send"
        return _answer(401, said, {"WWW-Authenticate": "Bearer"})
    body = inflate(await read_body(request), encoding=request.headers.get("content-encoding", ""))
    said = json.loads(repair(body))
    if not isinstance(said, dict):
        raise InputError("the body is a JSON object")
    now = door.clock.now()
    identifier = _request_id(request, bearer.actor)
    events = await asyncio.to_thread(
        transactional.read_request, services, said, source=bearer.source, request=identifier, now=now
    )
    await door.commit.put(Intake(events=events))
    return _answer(200, body={"delivery_id": identifier, "queued_at": now // SECOND})


def _request_id(request: Request, actor: str) -> str:
    """Return the id that makes this send the same as an earlier one, or one of its own."""
    given = request.headers.get("idempotency-key", "")
    if not given:
        return secrets.token_hex(12)
    if len(given) > 100 or not given.isprintable():
        raise InputError("Idempotency-Key: at most 100 printable characters")
    return f"{actor}:{given}"


def _answer(
    status: int,
    reason: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    body: Mapping[str, Any] | None = None,
) -> Response:
    """Return what the client reads: the delivery, or Customer.io's form of an error."""
    text = encode(body if body is not None else {"meta": {"error": reason}})
    given = {"Cache-Control": "no-store", **(headers or {})}
    return Response(text, status_code=status, media_type="application/json", headers=given)
