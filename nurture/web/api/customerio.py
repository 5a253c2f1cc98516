"""Customer.io's Track API as its Python client sends it, translated into calls of Segment's API.

It serves `PUT /api/v1/customers/ID`, events, anonymous events, suppression, merges, and `POST /api/v2/batch`. An
unsupported call is refused (404); in a batch it goes to the quarantine with its reason. Only devices are accepted and
ignored, because no mail goes to them.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app.event_body import Body, NotJson, TooLarge, inflate, repair
from nurture.app.group_commit import Unavailable
from nurture.app.ingest import Intake, read_items, reject
from nurture.app.privacy import erase_contact
from nurture.app.services import Services
from nurture.consent.subjects import find_subject, suppress_person
from nurture.database.audit import record
from nurture.database.engine import encode
from nurture.database.schema import identities
from nurture.domain.errors import NotFoundError, Transient
from nurture.domain.identity import canonical_email
from nurture.web.api.keys import Principal
from nurture.web.api.segment import RETRY_SECONDS, IngestContext
from nurture.web.request import read_body

#: Customer.io's trait names -> the names of Segment's specification, which playbooks use.
_TRAIT_NAMES = {"first_name": "firstName", "last_name": "lastName", "created_at": "createdAt"}

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Unsupported(Exception):
    """The call is not supported."""


class NotAllowed(Exception):
    """The key lacks the scope for this call."""


class TrackApi:
    """The endpoints of Customer.io's Track API."""

    def __init__(self, context: IngestContext, services: Services) -> None:
        """Use the ingest context for events, and the services for suppression and erasure."""
        self._context = context
        self._services = services

    def routes(self) -> APIRouter:
        """Return the endpoints of Customer.io's Track API."""
        router = APIRouter(prefix="/api", tags=["Customer.io Track API"])
        for path, methods, take, summary in (
            (
                "/v1/customers/{rest:path}",
                ["PUT", "POST", "DELETE"],
                self._customer,
                "Identify, track, suppress one person",
            ),
            ("/v1/events", ["POST"], self._anonymous, "Accept an event without a person"),
            ("/v1/merge_customers", ["POST"], self._merge, "Merge two people"),
            ("/v2/batch", ["POST"], self._batch, "Accept several calls"),
        ):
            for method in methods:
                router.add_api_route(
                    path,
                    self._route(take),
                    methods=[method],
                    summary=summary,
                    operation_id=f"{method.lower()}_{take.__name__.strip('_')}",
                    response_class=Response,
                )
        return router

    def _route(self, take: Callable[[Request, Principal, Any, bytes], Coroutine[Any, Any, None]]) -> Answer:
        async def answer(request: Request) -> Response:
            try:
                principal = await self._context.keys.authenticate(request, "ingest", "admin")
                if principal is None:
                    return _response(401, "unknown key; site id and API key go into Basic authentication")
                raw = inflate(await read_body(request), encoding=request.headers.get("content-encoding", ""))
                await take(request, principal, _parse_json(raw), raw)
            except TooLarge as error:
                return _response(413, str(error), {"Connection": "close"})
            except (TimeoutError, ClientDisconnect):
                return _response(408, "the body did not arrive; send it again", {"Connection": "close"})
            except (NotJson, NotAllowed, NotFoundError, Unsupported) as error:
                status = {NotJson: 400, NotAllowed: 403, NotFoundError: 404, Unsupported: 404}[type(error)]
                return _response(status, str(error))
            except (Unavailable, SQLAlchemyError, Transient) as error:
                reason = str(error) if isinstance(error, Unavailable) else "the database is unavailable"
                return _response(503, reason, {"Retry-After": RETRY_SECONDS})
            return _response(200)

        return answer

    # ---- calls -------------------------------------------------------------------------------------------

    async def _customer(self, request: Request, principal: Principal, body: Any, raw: bytes) -> None:
        person, *rest = _path_parts(request)
        match request.method, rest:
            case "PUT", []:
                await self._ingest(principal, [(identify_call({"id": person}, _mapping(body)), raw)])
            case "POST", ["events"]:
                await self._ingest(principal, [(event_call({"id": person}, _mapping(body)), raw)])
            case ("PUT", ["devices"]) | ("DELETE", ["devices", _]):
                _require_ingest_scope(principal)
            case "DELETE", []:
                await asyncio.to_thread(self._erase, person, _require_admin_scope(principal))
            case "POST", ["suppress"]:
                await asyncio.to_thread(self._suppress, person, _require_admin_scope(principal))
            case "POST", ["unsuppress"]:
                await asyncio.to_thread(self._unsuppress, person, _require_admin_scope(principal))
            case _:
                raise Unsupported(
                    f"{request.method} {'/'.join(['customers', '...', *rest])} is not supported"
                )

    async def _anonymous(self, _request: Request, principal: Principal, body: Any, raw: bytes) -> None:
        item = _mapping(body)
        await self._ingest(
            principal, [({**event_call({}, item), "anonymousId": item.get("anonymous_id")}, raw)]
        )

    async def _merge(self, _request: Request, principal: Principal, body: Any, raw: bytes) -> None:
        await self._ingest(principal, [(alias_call(_mapping(body)), raw)])

    async def _batch(self, _request: Request, principal: Principal, body: Any, _raw: bytes) -> None:
        batch = _mapping(body).get("batch")
        items = batch if isinstance(batch, list) else [body]
        await self._ingest(principal, [(_translate_item(item), encode(item).encode()) for item in items])

    async def _ingest(self, principal: Principal, calls: list[tuple[dict[str, Any] | str, bytes]]) -> None:
        """Store Segment calls. A text in place of a call is the reason why its item is quarantined."""
        _require_ingest_scope(principal)
        now, source = self._context.clock.now(), principal.source
        intake = Intake()
        for call, raw in calls:
            if isinstance(call, str):
                intake.rejected.append(reject(raw, call, source=source, received_at=now))
                continue
            item = encode(call).encode()
            read = read_items(Body(items=(item,), size=len(item)), source=source, received_at=now)
            intake.events += read.events
            intake.rejected += read.rejected
        await self._context.commit.put(intake)

    # ---- suppression, in the request's own transaction ---------------------------------------------------

    def _suppress(self, person: str, actor: str) -> None:
        key = self._services.settings.suppression_secret

        def work(connection: sa.Connection) -> None:
            now = self._context.clock.now()
            suppress_person(
                connection, _named(person), scope="all", now=now, source="web", suppression_key=key
            )
            self._record_audit(connection, person, actor, "contact.suppress")

        self._services.database.run(work)

    def _unsuppress(self, person: str, actor: str) -> None:
        key = self._services.settings.suppression_secret

        def work(connection: sa.Connection) -> None:
            subject = find_subject(connection, _named(person), suppression_key=key)
            subject.lift(connection, reasons=("ops",), scopes=("all",), before=self._context.clock.now())
            self._record_audit(connection, person, actor, "contact.unsuppress")

        self._services.database.run(work)

    def _erase(self, person: str, actor: str) -> None:
        """Erase the person. An unknown person is erased already."""
        address = canonical_email(person) if "@" in person else None
        try:
            erase_contact(self._services, address or f"id:{person}", actor=actor)
        except NotFoundError:
            return

    def _record_audit(self, connection: sa.Connection, person: str, actor: str, action: str) -> None:
        """Write the action to the audit log, which names the contact's id only."""
        owner = sa.select(identities.c.contact_id).where(identities.c.value == _canonical(person))
        found = connection.scalars(owner.order_by(identities.c.contact_id)).first()
        record(
            connection, at=self._context.clock.now(), actor=actor, action=action, detail={"contact": found}
        )


# ---- translation of calls --------------------------------------------------------------------------------


def identify_call(identifiers: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identify call of a person's attributes."""
    traits = {_TRAIT_NAMES.get(name, name): value for name, value in attributes.items()}
    if "email" in identifiers:
        traits.setdefault("email", identifiers["email"])
    context = {"timezone": attributes.get("timezone"), "locale": attributes.get("language")}
    return {"type": "identify", "userId": identifiers.get("id"), "traits": traits, "context": context}


def event_call(identifiers: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the track or page call of an event."""
    call: dict[str, Any] = {
        "type": "track",
        "userId": identifiers.get("id"),
        "event": item.get("name"),
        "properties": item.get("data", item.get("attributes")),
        "messageId": item.get("id"),
        "timestamp": item.get("timestamp"),
    }
    if item.get("type") in ("page", "screen"):
        call |= {"type": item["type"], "name": item.get("name")}
    if "email" in identifiers:
        call["context"] = {"traits": {"email": identifiers["email"]}}
    return call


def alias_call(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alias call of a merge: the secondary person becomes the primary."""
    primary, secondary = _mapping(item.get("primary")), _mapping(item.get("secondary"))
    before = secondary.get("id") or secondary.get("email")
    call: dict[str, Any] = {"type": "alias", "userId": primary.get("id"), "previousId": before}
    if "email" in primary:
        call["context"] = {"traits": {"email": primary["email"]}}
    return call


def _translate_item(item: Any) -> dict[str, Any] | str:
    """Return the call of one item of a batch, or the reason why it is refused."""
    item = _mapping(item)
    identifiers = _mapping(item.get("identifiers"))
    if item.get("type") != "person":
        return f"type: {item.get('type')!r:.40} is not supported; write person"
    if item.get("action") != "merge" and not ("id" in identifiers or "email" in identifiers):
        return "identifiers: give id or email"
    match item.get("action"):
        case "identify":
            return identify_call(identifiers, _mapping(item.get("attributes")))
        case "event" | "page" | "screen" as action:
            return event_call(identifiers, {**item, "type": action})
        case "merge":
            return alias_call(item)
        case action:
            return f"action: {action!r:.40} is not supported"


def _path_parts(request: Request) -> list[str]:
    """Return the path after `customers/`, split before unescaping: an id may contain an escaped slash."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    return [unquote_to_bytes(part).decode("utf-8", "replace") for part in raw.split(b"/")[4:]]


def _named(person: str) -> str:
    """Return how a person named by address or user id is named elsewhere."""
    return person if "@" in person and canonical_email(person) else f"id:{person}"


def _canonical(person: str) -> str:
    return (canonical_email(person) if "@" in person else None) or person


def _require_ingest_scope(principal: Principal) -> None:
    """Raise NotAllowed for a key without scope ingest."""
    if "ingest" not in principal.scopes:
        raise NotAllowed("this key may not send events; use a key of scope ingest")


def _require_admin_scope(principal: Principal) -> str:
    """Return the actor for the audit log. Raises NotAllowed for a key without scope admin."""
    if "admin" in principal.scopes:
        return principal.actor
    raise NotAllowed("this key may only send events; suppressing and erasing need a key of scope admin")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parse_json(raw: bytes) -> Any:
    return json.loads(repair(raw)) if raw.strip() else {}


def _response(status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return the response as Customer.io's clients expect it: an empty object, or an error object."""
    body: dict[str, Any] = {"meta": {"error": reason}} if reason else {}
    return Response(
        encode(body), status_code=status, media_type="application/json", headers=dict(headers or {})
    )
