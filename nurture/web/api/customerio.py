"""Customer.io's Track API, as its Python client sends it, told in the calls of Segment's.

`PUT /api/v1/customers/ID`, events, anonymous events, suppression, merges, and `POST /api/v2/batch`. What has
no meaning here is refused (404) or, in a batch, set aside with its reason; nothing is silently dropped but
devices, to which no mail goes.
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
from nurture.consent.record import address_hash, suppress_address
from nurture.consent.suppression_queries import lift_suppression
from nurture.database.audit import record
from nurture.database.engine import encode
from nurture.database.schema import contacts, identities
from nurture.domain.errors import NotFoundError, Transient
from nurture.domain.identity import canonical_email
from nurture.web.api.keys import Bearer
from nurture.web.api.segment import RETRY_SECONDS, Door
from nurture.web.request import read_body

#: Customer.io's names of what Segment's specification, and so the playbooks, call otherwise.
_TRAIT_NAMES = {"first_name": "firstName", "last_name": "lastName", "created_at": "createdAt"}

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Unsupported(Exception):
    """The call means nothing here."""


class NotAllowed(Exception):
    """The key is not for this."""


class TrackApi:
    """The endpoints of one application."""

    def __init__(self, door: Door, services: Services) -> None:
        """Take the door of the events, and the services for suppression."""
        self._door = door
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
            ("/v1/events", ["POST"], self._anonymous, "Take an event without a person"),
            ("/v1/merge_customers", ["POST"], self._merge, "Join two people"),
            ("/v2/batch", ["POST"], self._batch, "Take several calls"),
        ):
            for method in methods:
                router.add_api_route(
                    path,
                    self._guarded(take),
                    methods=[method],
                    summary=summary,
                    operation_id=f"{method.lower()}_{take.__name__.strip('_')}",
                    response_class=Response,
                )
        return router

    def _guarded(self, take: Callable[[Request, Bearer, Any, bytes], Coroutine[Any, Any, None]]) -> Answer:
        async def answer(request: Request) -> Response:
            try:
                bearer = await self._door.keys.bearer(request, "ingest", "admin")
                if bearer is None:
                    return _answer(401, "unknown key; site id and API key go into Basic authentication")
                raw = inflate(await read_body(request), encoding=request.headers.get("content-encoding", ""))
                await take(request, bearer, _value(raw), raw)
            except TooLarge as error:
                return _answer(413, str(error), {"Connection": "close"})
            except (TimeoutError, ClientDisconnect):
                return _answer(408, "the body did not arrive; send it again", {"Connection": "close"})
            except (NotJson, NotAllowed, NotFoundError, Unsupported) as error:
                status = {NotJson: 400, NotAllowed: 403, NotFoundError: 404, Unsupported: 404}[type(error)]
                return _answer(status, str(error))
            except (Unavailable, SQLAlchemyError, Transient) as error:
                reason = str(error) if isinstance(error, Unavailable) else "the database is away"
                return _answer(503, reason, {"Retry-After": RETRY_SECONDS})
            return _answer(200)

        return answer

    # ---- calls -------------------------------------------------------------------------------------------

    async def _customer(self, request: Request, bearer: Bearer, body: Any, raw: bytes) -> None:
        person, *rest = _path(request)
        match request.method, rest:
            case "PUT", []:
                await self._hand_in(bearer, [(identify({"id": person}, _mapping(body)), raw)])
            case "POST", ["events"]:
                await self._hand_in(bearer, [(happened({"id": person}, _mapping(body)), raw)])
            case ("PUT", ["devices"]) | ("DELETE", ["devices", _]):
                _ingests(bearer)
            case "DELETE", []:
                await asyncio.to_thread(self._erase, person, _admin(bearer))
            case "POST", ["suppress"]:
                await asyncio.to_thread(self._suppress, person, _admin(bearer))
            case "POST", ["unsuppress"]:
                await asyncio.to_thread(self._unsuppress, person, _admin(bearer))
            case _:
                raise Unsupported(
                    f"{request.method} {'/'.join(['customers', '...', *rest])} means nothing here"
                )

    async def _anonymous(self, _request: Request, bearer: Bearer, body: Any, raw: bytes) -> None:
        said = _mapping(body)
        await self._hand_in(bearer, [({**happened({}, said), "anonymousId": said.get("anonymous_id")}, raw)])

    async def _merge(self, _request: Request, bearer: Bearer, body: Any, raw: bytes) -> None:
        await self._hand_in(bearer, [(merged(_mapping(body)), raw)])

    async def _batch(self, _request: Request, bearer: Bearer, body: Any, _raw: bytes) -> None:
        items = _mapping(body).get("batch")
        given = items if isinstance(items, list) else [body]
        await self._hand_in(bearer, [(_translated(item), encode(item).encode()) for item in given])

    async def _hand_in(self, bearer: Bearer, calls: list[tuple[dict[str, Any] | str, bytes]]) -> None:
        """Hand Segment calls in; a text instead of a call says why there is none."""
        _ingests(bearer)
        now, source = self._door.clock.now(), bearer.source
        intake = Intake()
        for call, raw in calls:
            if isinstance(call, str):
                intake.rejected.append(reject(raw, call, source=source, received_at=now))
                continue
            item = encode(call).encode()
            read = read_items(Body(items=(item,), size=len(item)), source=source, received_at=now)
            intake.events += read.events
            intake.rejected += read.rejected
        await self._door.commit.put(intake)

    # ---- suppression, in the request's own transaction ---------------------------------------------------

    def _suppress(self, person: str, actor: str) -> None:
        key = self._services.settings.suppression_secret

        def work(connection: sa.Connection) -> None:
            now = self._door.clock.now()
            address = _address(connection, person)
            suppress_address(
                connection,
                address=address,
                scope="all",
                reason="ops",
                now=now,
                source="web",
                suppression_key=key,
            )
            self._note(connection, person, actor, "contact.suppress")

        self._services.database.run(work)

    def _unsuppress(self, person: str, actor: str) -> None:
        key = self._services.settings.suppression_secret

        def work(connection: sa.Connection) -> None:
            hashed = address_hash(_address(connection, person), key)
            lift_suppression(connection, hashed, scope="all", reason="ops", before=self._door.clock.now())
            self._note(connection, person, actor, "contact.unsuppress")

        self._services.database.run(work)

    def _erase(self, person: str, actor: str) -> None:
        """Forget the person, for good: no later event of theirs is mailed. Nobody of that name: done already."""
        address = canonical_email(person) if "@" in person else None
        try:
            erase_contact(self._services, address or f"id:{person}", actor=actor)
        except NotFoundError:
            return

    def _note(self, connection: sa.Connection, person: str, actor: str, action: str) -> None:
        """Write the act down, by the contact's number: the log holds no names."""
        owner = sa.select(identities.c.contact_id).where(identities.c.value == _canonical(person))
        found = connection.scalars(owner.order_by(identities.c.contact_id)).first()
        record(connection, at=self._door.clock.now(), actor=actor, action=action, detail={"contact": found})


# ---- Customer.io's words in Segment's --------------------------------------------------------------------


def identify(identifiers: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identify call of a person's attributes."""
    traits = {_TRAIT_NAMES.get(name, name): value for name, value in attributes.items()}
    if "email" in identifiers:
        traits.setdefault("email", identifiers["email"])
    context = {"timezone": attributes.get("timezone"), "locale": attributes.get("language")}
    return {"type": "identify", "userId": identifiers.get("id"), "traits": traits, "context": context}


def happened(identifiers: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the track or page call of an event."""
    call: dict[str, Any] = {
        "type": "track",
        "userId": identifiers.get("id"),
        "event": said.get("name"),
        "properties": said.get("data", said.get("attributes")),
        "messageId": said.get("id"),
        "timestamp": said.get("timestamp"),
    }
    if said.get("type") in ("page", "screen"):
        call |= {"type": said["type"], "name": said.get("name")}
    if "email" in identifiers:
        call["context"] = {"traits": {"email": identifiers["email"]}}
    return call


def merged(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alias call of a merge: the secondary person becomes the primary."""
    primary, secondary = _mapping(said.get("primary")), _mapping(said.get("secondary"))
    before = secondary.get("id") or secondary.get("email")
    call: dict[str, Any] = {"type": "alias", "userId": primary.get("id"), "previousId": before}
    if "email" in primary:
        call["context"] = {"traits": {"email": primary["email"]}}
    return call


def _translated(item: Any) -> dict[str, Any] | str:
    """Return the call of one item of a batch, or why there is none."""
    said = _mapping(item)
    identifiers = _mapping(said.get("identifiers"))
    if said.get("type") != "person":
        return f"type: {said.get('type')!r:.40} means nothing here; person does"
    if said.get("action") != "merge" and not ("id" in identifiers or "email" in identifiers):
        return "identifiers: give id or email"
    match said.get("action"):
        case "identify":
            return identify(identifiers, _mapping(said.get("attributes")))
        case "event" | "page" | "screen" as action:
            return happened(identifiers, {**said, "type": action})
        case "merge":
            return merged(said)
        case action:
            return f"action: {action!r:.40} means nothing here"


def _path(request: Request) -> list[str]:
    """Return what follows `customers/`, split before it is unescaped: an id may hold an escaped slash."""
    raw: bytes = request.scope["raw_path"].split(b"?", 1)[0]
    return [unquote_to_bytes(part).decode("utf-8", "replace") for part in raw.split(b"/")[4:]]


def _address(connection: sa.Connection, person: str) -> str:
    """Return the address of a person named by address or user id. Raises NotFoundError."""
    if "@" in person and (address := canonical_email(person)):
        return address
    owner = sa.select(identities.c.contact_id).where(
        identities.c.kind == "user_id", identities.c.value == person
    )
    found = connection.scalar(sa.select(contacts.c.email).where(contacts.c.id.in_(owner)))
    if found is None:
        raise NotFoundError("no address is known of this person, so none can be suppressed")
    return str(found)


def _canonical(person: str) -> str:
    return (canonical_email(person) if "@" in person else None) or person


def _ingests(bearer: Bearer) -> None:
    """Raise NotAllowed for a key that is not for events."""
    if "ingest" not in bearer.scopes:
        raise NotAllowed("this key is not for events; they take one of scope ingest")


def _admin(bearer: Bearer) -> str:
    """Return who does it. Raises NotAllowed for a key that may only hand in events."""
    if "admin" in bearer.scopes:
        return bearer.actor
    raise NotAllowed("this key may hand in events only; suppressing and erasing take one of scope admin")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _value(raw: bytes) -> Any:
    return json.loads(repair(raw)) if raw.strip() else {}


def _answer(status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return what the client reads: an empty object, or Customer.io's form of an error."""
    body: dict[str, Any] = {"meta": {"error": reason}} if reason else {}
    return Response(
        encode(body), status_code=status, media_type="application/json", headers=dict(headers or {})
    )
