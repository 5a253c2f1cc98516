"""Segment's HTTP API: events in, answered once they are durable.

`POST /v1/batch` and the single calls, as segment-analytics-python, @segment/analytics-node, rudder-sdk-* and
analytics.js send them. Clients drop what is answered with 4xx and repeat what is answered with 5xx, so a bad
item is set aside with 200, and a database that is away answers 503.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from nurture.app.event_body import Body, NotJson, TooLarge, inflate, split_body
from nurture.app.group_commit import GroupCommit, Unavailable
from nurture.app.ingest import Intake, read_items, reject
from nurture.database.engine import encode
from nurture.runtime.clock import Clock
from nurture.web.api.keys import Bearer, KeyRing
from nurture.web.request import basic_user, read_body

T = TypeVar("T")

#: Path -> what its single calls are; None: the items say it.
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
#: What is larger than this is read beside the event loop.
INLINE_BYTES_MAX = 128 * 1024
#: What a client is asked to wait before it comes again.
RETRY_SECONDS = "2"

_CORS = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True, slots=True)
class Door:
    """What the ingestion endpoints share."""

    keys: KeyRing
    commit: GroupCommit
    clock: Clock


def add_endpoints(application: FastAPI, door: Door, *, base_url: str) -> None:
    """Add the endpoints of Segment's API.

    Straight to the application and before all others: matching through an included router costs a request as
    much as reading ten events.
    """
    for path, kind in ENDPOINTS.items():
        application.add_api_route(
            f"/v1/{path}",
            _endpoint(door, kind),
            methods=["POST"],
            summary=f"Take one {kind} call" if kind else "Take a batch of calls",
            description="Basic authentication with the write key as user name. Answered once durable.",
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra=_REQUEST_BODY,
            tags=["events"],
            include_in_schema=len(path) > 1,
        )
        application.add_api_route(f"/v1/{path}", _preflight, methods=["OPTIONS"], include_in_schema=False)

    @application.get(
        "/v1/projects/{key}/settings",
        summary="Settings that analytics.js loads at its start",
        tags=["events"],
        response_class=Response,
    )
    async def settings(key: str) -> Response:
        try:
            bearer = await door.keys.who(key)
        except Unavailable as error:
            return refusal(503, str(error), {"Retry-After": RETRY_SECONDS})
        if bearer is None or "ingest" not in bearer.scopes:
            return refusal(404, "no such write key")
        return answer(200, browser_settings(key, base_url=base_url))


def _endpoint(door: Door, kind: str | None) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def take(request: Request) -> Response:
        try:
            return await _take(door, request, kind)
        except TooLarge as error:
            # Hanging up spares both sides the rest of the body.
            return refusal(413, str(error), {"Connection": "close"})
        except TimeoutError:
            return refusal(408, "the body did not arrive in time; send it again", {"Connection": "close"})
        except Unavailable as error:
            return refusal(503, str(error), {"Retry-After": RETRY_SECONDS})
        except ClientDisconnect:
            return refusal(400, "the connection ended before the body did")

    return take


async def _take(door: Door, request: Request, kind: str | None) -> Response:
    """Authenticate, read, commit, answer; in this order, so that nothing is told to strangers."""
    user = basic_user(request)
    bearer = await _bearer(door, request, user[0] if user else None)
    if user and bearer is None:
        return _unknown_key()
    raw = await read_body(request)
    received_at = door.clock.now()
    try:
        body = await _open(raw, request.headers.get("content-encoding", ""))
    except NotJson as error:
        if bearer is None:
            return _unknown_key()
        await door.commit.put(
            Intake(rejected=[reject(raw, str(error), source=bearer.source, received_at=received_at)])
        )
        return refusal(400, str(error))
    bearer = bearer or await _bearer(door, request, body.write_key)
    if bearer is None:
        return _unknown_key()
    source = bearer.source
    intake = await _inline_or_beside(
        body.size, lambda: read_items(body, source=source, received_at=received_at, kind=kind)
    )
    await door.commit.put(intake)
    return answer(200, {"success": True})


async def _bearer(door: Door, request: Request, key: str | None) -> Bearer | None:
    """Return whom the key stands for, None where it may not hand in events."""
    found = await door.keys.who(key)
    return found if found and "ingest" in found.scopes and door.keys.is_for(found, request) else None


async def _open(raw: bytes, encoding: str) -> Body:
    plain = await _inline_or_beside(len(raw), lambda: inflate(raw, encoding=encoding))
    return await _inline_or_beside(len(plain), lambda: split_body(plain))


async def _inline_or_beside(size: int, work: Callable[[], T]) -> T:
    """Do short work at once and long work beside the event loop, so that it holds up nobody."""
    return work() if size <= INLINE_BYTES_MAX else await asyncio.to_thread(work)


async def _preflight() -> Response:
    """Answer the browser's question before a cross-origin request."""
    return Response(status_code=204, headers=_PREFLIGHT)


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer that pages of any origin may read."""
    return Response(
        encode(body), status_code=status, media_type="application/json", headers={**_CORS, **(headers or {})}
    )


def refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal that says why."""
    return answer(status, {"success": False, "error": reason}, headers)


def _unknown_key() -> Response:
    reason = (
        "unknown write key, or one that is not for events; "
        "give it as user name of Basic authentication, or as writeKey in the body"
    )
    return refusal(401, reason, {"WWW-Authenticate": 'Basic realm="write key"'})


def browser_settings(key: str, *, base_url: str) -> dict[str, Any]:
    """Return what analytics.js expects at `/v1/projects/KEY/settings`: where to send, and no further scripts."""
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
    200: {"description": "Durable. Items that could not be taken are in the quarantine, with their reasons."},
    400: {"description": "The body is no JSON at all."},
    401: {"description": "Unknown write key."},
    408: {"description": "The body did not arrive in time."},
    413: {"description": "Too large, or too many items."},
    503: {"description": "The database is away; nothing was stored, send the same again after Retry-After."},
}
