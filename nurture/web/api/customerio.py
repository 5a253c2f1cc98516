"""Customer.io's Track API as its Python client sends it, translated into calls of Segment's API.

It serves `PUT /api/v1/customers/ID`, events, anonymous events, suppression, merges, and `POST /api/v2/batch`. An
unsupported call is refused (404); in a batch it goes to the quarantine with its reason. Only devices are accepted and
ignored, because no mail goes to them.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from nurture.app.event_body import Body, NotJson, TooLarge, repair
from nurture.app.group_commit import Unavailable
from nurture.app.ingest import Intake, read_items, reject
from nurture.app.privacy import erase_contact
from nurture.app.services import Services
from nurture.consent.subjects import find_subject, suppress_person
from nurture.contacts.assignment import MERGED
from nurture.database.audit import record
from nurture.database.engine import encode
from nurture.database.schema import identities
from nurture.domain.errors import NotFoundError, Transient
from nurture.domain.identity import canonical_email
from nurture.domain.instant import Instant
from nurture.web.api.customerio_calls import alias_call, event_call, identify_call, mapping, translate_item
from nurture.web.api.keys import Principal
from nurture.web.api.segment import RETRY_SECONDS, IngestContext
from nurture.web.request import inflate_body, read_body

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
        for path, methods, handle_call, summary in (
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
                    self._route(handle_call),
                    methods=[method],
                    summary=summary,
                    operation_id=f"{method.lower()}_{handle_call.__name__.strip('_')}",
                    response_class=Response,
                )
        return router

    def _route(
        self, handle_call: Callable[[Request, Principal, Any, bytes], Coroutine[Any, Any, Response | None]]
    ) -> Answer:
        async def respond(request: Request) -> Response:
            try:
                principal = await self._context.keys.authenticate(request, "ingest", "admin")
                if principal is None:
                    return _response(401, "unknown key; site id and API key go into Basic authentication")
                encoding = request.headers.get("content-encoding", "")
                raw = await inflate_body(await read_body(request), encoding=encoding)
                body = await asyncio.to_thread(_parse_json, raw)
                answer = await handle_call(request, principal, body, raw)
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
            return answer or _response(200)

        return respond

    # ---- calls -------------------------------------------------------------------------------------------

    async def _customer(self, request: Request, principal: Principal, body: Any, raw: bytes) -> None:
        person, *rest = _path_parts(request)
        match request.method, rest:
            case "PUT", []:
                await self._ingest(principal, [(identify_call({"id": person}, mapping(body)), raw)])
            case "POST", ["events"]:
                await self._ingest(principal, [(event_call({"id": person}, mapping(body)), raw)])
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
        item = mapping(body)
        await self._ingest(
            principal, [({**event_call({}, item), "anonymousId": item.get("anonymous_id")}, raw)]
        )

    async def _merge(self, _request: Request, principal: Principal, body: Any, raw: bytes) -> None:
        _require_ingest_scope(principal)
        _require_server(principal, "merging people")
        call = alias_call(mapping(body))
        if isinstance(call, str):
            raise NotJson(call)
        await self._ingest(principal, [(call, raw)])

    async def _batch(
        self, _request: Request, principal: Principal, body: Any, _raw: bytes
    ) -> Response | None:
        """Do every item of a batch or refuse it with its reason; 207 lists the refused ones, as Customer.io does."""
        batch = mapping(body).get("batch")
        items = batch if isinstance(batch, list) else [body]
        calls: list[tuple[dict[str, Any] | str, bytes]] = []
        operations: list[tuple[int, str, str]] = []
        errors: list[dict[str, Any]] = []
        # Place in `calls` -> place in the batch.
        places: list[int] = []
        for index, item in enumerate(items):
            if index % _INLINE_CALLS_MAX == 0:
                # Other requests get their turn between two slices of a long batch.
                await asyncio.sleep(0)
            action, person = mapping(item).get("action"), _person_of(item)
            refusal = _refusal_of(item, principal)
            if refusal is None and action in _ACTS:
                operations.append((index, str(action), person))
                continue
            call = refusal or translate_item(item)
            if isinstance(call, str):
                errors.append({"batch_index": index, "reason": "invalid", "message": call})
            calls.append((call, encode(item).encode()))
            places.append(index)
        if calls or not operations:
            refused = await self._ingest(principal, calls)
            errors += [{**error, "batch_index": places[error["batch_index"]]} for error in refused]
        for index, action, person in operations:
            try:
                await asyncio.to_thread(self._act, action, person, principal.actor)
            except NotFoundError as error:
                errors.append({"batch_index": index, "reason": "not_found", "message": str(error)})
        if not errors:
            return None
        body = {"errors": sorted(errors, key=lambda error: int(error["batch_index"]))}
        return Response(encode(body), status_code=207, media_type="application/json")

    def _act(self, action: str, person: str, actor: str) -> None:
        {"suppress": self._suppress, "unsuppress": self._unsuppress, "delete": self._erase}[action](
            person, actor
        )

    async def _ingest(
        self, principal: Principal, calls: list[tuple[dict[str, Any] | str, bytes]]
    ) -> list[dict[str, Any]]:
        """Store Segment calls and return those that were refused for what they say, by their place.

        A text in place of a call is the reason why its item is quarantined.
        """
        _require_ingest_scope(principal)
        now, source = self._context.clock.now(), principal.source
        read = partial(_read_calls, calls, source=source, now=now, is_hint=principal.is_hint)
        is_short = len(calls) <= _INLINE_CALLS_MAX
        intake, errors = read() if is_short else await asyncio.to_thread(read)
        await self._context.commit.put(intake)
        return errors

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


#: Actions of a batch that are carried out at once, in transactions of their own; they need scope admin.
#: More calls are read in a thread, so that a batch does not hold the event loop.
_INLINE_CALLS_MAX: Final = 50
_ACTS: Final = frozenset({"suppress", "unsuppress", "delete"})


def _person_of(item: Any) -> str:
    """Return the person that an item names, by id or address; "" without one."""
    identifiers = mapping(mapping(item).get("identifiers"))
    return str(identifiers.get("id") or identifiers.get("email") or "")


def _refusal_of(item: Any, principal: Principal) -> str | None:
    """Return why this key may not do the item, None when it may."""
    action = mapping(item).get("action")
    if action in _ACTS and mapping(item).get("type") == "person":
        if principal.is_hint or "admin" not in principal.scopes:
            return f"action: {action} needs a server key of scope admin"
        if not _person_of(item):
            return "identifiers: give id or email"
    if action == "merge" and principal.is_hint:
        return "action: merge needs a server key"
    return None


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


def _require_server(principal: Principal, what: str) -> None:
    """Raise NotAllowed for a browser key and for a call from a web page."""
    if principal.is_hint:
        raise NotAllowed(f"{what} needs a server key; this key stands in a web page, or a page sent the call")


def _require_admin_scope(principal: Principal) -> str:
    """Return the actor for the audit log. Raises NotAllowed for a key without scope admin, and for a browser key."""
    _require_server(principal, "suppressing and erasing")
    if "admin" in principal.scopes:
        return principal.actor
    raise NotAllowed("this key may only send events; suppressing and erasing need a key of scope admin")


def _read_calls(
    calls: Sequence[tuple[dict[str, Any] | str, bytes]], *, source: str, now: Instant, is_hint: bool
) -> tuple[Intake, list[dict[str, Any]]]:
    """Return the events of the calls, and the refused calls by their place."""
    intake = Intake()
    errors: list[dict[str, Any]] = []
    for place, (call, raw) in enumerate(calls):
        if isinstance(call, str):
            intake.rejected.append(reject(raw, call, source=source, received_at=now))
            continue
        is_merge = call.pop("merge", False)
        item = encode(call).encode()
        body = Body(items=(item,), size=len(item))
        read = read_items(body, source=source, received_at=now, hint=is_hint)
        if is_merge:
            read.events = [replace(event, name=MERGED) for event in read.events]
        intake.events += read.events
        intake.rejected += read.rejected
        errors += [
            {"batch_index": place, "reason": "invalid", "message": rejected.reason}
            for rejected in read.rejected
        ]
    return intake, errors


def _parse_json(raw: bytes) -> Any:
    return json.loads(repair(raw)) if raw.strip() else {}


def _response(status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return the response as Customer.io's clients expect it: an empty object, or an error object."""
    body: dict[str, Any] = {"meta": {"error": reason}} if reason else {}
    return Response(
        encode(body), status_code=status, media_type="application/json", headers=dict(headers or {})
    )
