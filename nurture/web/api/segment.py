"""Segment's HTTP API: accept events and answer once they are durable.

It serves `POST /v1/batch` and the single calls as segment-analytics-python, @segment/analytics-node, rudder-sdk-* and
analytics.js send them. Clients drop a request after 4xx and repeat it after 5xx. So an invalid item goes to the
quarantine and the answer is 200; while the database is unavailable the answer is 503.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app.aliases import REFUSAL, refuse_aliases
from nurture.app.event_body import Body, NotJson, NotStrict, TooLarge, split_body, split_strict_body
from nurture.app.group_commit import GroupCommit, Unavailable
from nurture.app.ingest import Intake, read_items, reject
from nurture.app.services import Services
from nurture.database.engine import encode
from nurture.domain.errors import Transient
from nurture.runtime.clock import Clock
from nurture.web.api.keys import KeyRing, Principal
from nurture.web.request import INLINE_BYTES_MAX, basic_user, inflate_body, read_body

#: Path -> kind of its calls; None: each item has its own type.
ENDPOINTS: dict[str, str | None] = {
    "batch": None,
    "b": None,
    "import": None,
    "identify": "identify",
    "i": "identify",
    "track": "track",
    "t": "track",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "group": "group",
    "g": "group",
    "alias": "alias",
    "a": "alias",
}
#: More items are read in a thread; one takes 10 to 25 microseconds.
_INLINE_ITEMS_MAX = 200
#: Value of Retry-After, in seconds.
RETRY_SECONDS = "2"

_CORS = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True, slots=True)
class IngestContext:
    """The objects that the ingestion endpoints share."""

    keys: KeyRing
    commit: GroupCommit
    clock: Clock
    services: Services


def add_endpoints(application: FastAPI, context: IngestContext, *, base_url: str) -> None:
    """Add the endpoints of Segment's API.

    They are added to the application itself and before all others: matching a route of an included router costs as
    much as decoding ten events.
    """
    for path, kind in ENDPOINTS.items():
        application.add_api_route(
            f"/v1/{path}",
            _endpoint(context, kind),
            methods=["POST"],
            summary=f"Accept one {kind} call" if kind else "Accept a batch of calls",
            description="Basic authentication with the write key as user name. Answered once the events are durable.",
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra=_REQUEST_BODY,
            tags=["events"],
            include_in_schema=len(path) > 1,
        )
        application.add_api_route(f"/v1/{path}", _preflight, methods=["OPTIONS"], include_in_schema=False)

    @application.get(
        "/v1/projects/{key}/settings",
        summary="Settings that analytics.js loads when it starts",
        tags=["events"],
        response_class=Response,
    )
    async def settings(key: str) -> Response:
        try:
            principal = await context.keys.find_principal(key)
        except Unavailable as error:
            return error_response(503, str(error), {"Retry-After": RETRY_SECONDS})
        if principal is None or "ingest" not in principal.scopes:
            return error_response(404, "no such write key")
        return json_response(200, browser_settings(key, base_url=base_url))


def _endpoint(context: IngestContext, kind: str | None) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def respond(request: Request) -> Response:
        try:
            return await _ingest(context, request, kind)
        except TooLarge as error:
            # Closing the connection saves both sides the rest of the body.
            return error_response(413, str(error), {"Connection": "close"})
        except TimeoutError:
            return error_response(
                408, "the body did not arrive in time; send it again", {"Connection": "close"}
            )
        except Unavailable as error:
            return error_response(503, str(error), {"Retry-After": RETRY_SECONDS})
        except ClientDisconnect:
            return error_response(400, "the connection ended before the body did")

    return respond


async def _ingest(context: IngestContext, request: Request, kind: str | None) -> Response:
    """Authenticate, read, commit, answer. Authentication comes first, so that strangers learn nothing."""
    user = basic_user(request)
    principal = await _authenticate(context, request, user[0] if user else None)
    if user and principal is None:
        return _unknown_key_response()
    raw = await read_body(request)
    received_at = context.clock.now()
    try:
        body = await _read_calls(raw, request.headers.get("content-encoding", ""))
    except NotJson as error:
        if principal is None:
            return _unknown_key_response()
        await context.commit.put(
            Intake(rejected=[reject(raw, str(error), source=principal.source, received_at=received_at)])
        )
        return error_response(400, str(error))
    principal = principal or await _authenticate(context, request, body.write_key)
    if principal is None:
        return _unknown_key_response()
    source = principal.source
    is_hint = principal.is_hint
    read = partial(read_items, body, source=source, received_at=received_at, kind=kind, hint=is_hint)
    is_short = body.size <= INLINE_BYTES_MAX and len(body.items) <= _INLINE_ITEMS_MAX
    intake = read() if is_short else await asyncio.to_thread(read)
    if is_hint and any(event.previous_id is not None for event in intake.events):
        alone = len(intake.events) == 1 and kind is not None
        await _refuse_aliases(context, intake)
        if alone and not intake.events:
            await context.commit.put(intake)
            return error_response(403, REFUSAL)
    await context.commit.put(intake)
    return json_response(200, {"success": True})


async def _authenticate(context: IngestContext, request: Request, key: str | None) -> Principal | None:
    """Return the principal of a key; None when it may not send events."""
    principal = await context.keys.find_principal(key)
    if principal and "ingest" in principal.scopes and context.keys.may_use(principal, request):
        return await context.keys.as_told(principal, request)
    return None


async def _refuse_aliases(context: IngestContext, intake: Intake) -> None:
    """Reject the aliases that a browser key may not tell. Raises Unavailable."""
    try:
        await asyncio.to_thread(refuse_aliases, context.services, intake)
    except (SQLAlchemyError, Transient) as error:
        raise Unavailable(f"the database is unavailable: {type(error).__name__}") from error


async def _read_calls(raw: bytes, encoding: str) -> Body:
    plain = await inflate_body(raw, encoding=encoding)
    if len(plain) <= INLINE_BYTES_MAX:
        try:
            return split_strict_body(plain)
        except NotStrict:
            # Repairing takes a hundred times as long.
            pass
    return await asyncio.to_thread(split_body, plain)


async def _preflight() -> Response:
    """Answer a browser's CORS preflight request."""
    return Response(status_code=204, headers=_PREFLIGHT)


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response that pages of any origin may read."""
    return Response(
        encode(body), status_code=status, media_type="application/json", headers={**_CORS, **(headers or {})}
    )


def error_response(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error response with its reason."""
    return json_response(status, {"success": False, "error": reason}, headers)


def _unknown_key_response() -> Response:
    reason = (
        "unknown write key, or a key without scope ingest; "
        "send it as user name of Basic authentication, or as writeKey in the body"
    )
    return error_response(401, reason, {"WWW-Authenticate": 'Basic realm="write key"'})


def browser_settings(key: str, *, base_url: str) -> dict[str, Any]:
    """Return the settings that analytics.js loads: the address for events, and no other scripts."""
    parts = urlsplit(base_url)
    enabled = {"__default": {"enabled": True, "integrations": {}}}
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": f"{parts.netloc}{parts.path.rstrip('/')}/v1",
                "protocol": parts.scheme or "https",
                "unbundledIntegrations": [],
                "addBundledMetadata": False,
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {"track": enabled, "identify": enabled, "group": enabled},
        "edgeFunction": {},
        "enabledMiddleware": {},
        "middlewareSettings": {},
        "remotePlugins": [],
        "metrics": {"sampleRate": 0},
        "analyticsNextEnabled": True,
        "legacyVideoPluginsEnabled": False,
    }


_ITEM_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"enum": ["identify", "track", "page", "screen", "group", "alias"]},
        "userId": {"type": ["string", "null"]},
        "anonymousId": {"type": ["string", "null"]},
        "messageId": {"type": "string", "description": "the same id is the same event"},
        "event": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "properties": {"type": ["object", "null"]},
        "traits": {"type": ["object", "null"]},
        "context": {"type": ["object", "null"]},
    },
}
_REQUEST_BODY: dict[str, Any] = {
    "security": [{"writeKey": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        _ITEM_SCHEMA,
                        {"type": "object", "properties": {"batch": {"type": "array", "items": _ITEM_SCHEMA}}},
                    ]
                },
                "example": {
                    "batch": [
                        {
                            "type": "track",
                            "userId": "user-1",
                            "event": "Order Completed",
                            "messageId": "8f4a8c5f-0a06",
                            "timestamp": "2026-01-31T09:00:00Z",
                            "properties": {"order_id": "o-1", "revenue": 12.5},
                        }
                    ]
                },
            }
        },
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events are durable. Invalid items are in the quarantine, with their reasons."},
    400: {"description": "The body is not JSON."},
    401: {"description": "Unknown write key."},
    408: {"description": "The body did not arrive in time."},
    413: {"description": "The body is too large, or has too many items."},
    503: {
        "description": "The database is unavailable; nothing was stored. Send the same request again after Retry-After."
    },
}
