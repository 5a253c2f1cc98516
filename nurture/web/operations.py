"""What operators and their machines ask: is it alive, does work get done, figures, what the API offers."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.group_commit import Unavailable
from nurture.app.services import Services
from nurture.database.engine import encode
from nurture.domain.instant import SECOND
from nurture.reports.backlog import Backlog, measure_backlog
from nurture.reports.metrics import CONTENT_TYPE, render_page
from nurture.web.api.keys import KeyRing
from nurture.web.console.login import ConsoleDoor
from nurture.web.request import from_this_machine

#: Work older than this means that nobody does it.
DUE_SECONDS_MAX = 300


def routes(services: Services, door: ConsoleDoor, keys: KeyRing) -> APIRouter:
    """Return /healthz, /readyz and /metrics."""
    router = APIRouter(tags=["operations"], default_response_class=Response)

    @router.get("/healthz", summary="Is the process alive")
    async def healthz() -> Response:
        return json_answer(200, {"alive": True})

    @router.get("/readyz", summary="Is the database reachable, and the oldest due work young enough")
    async def readyz() -> Response:
        try:
            found = await asyncio.to_thread(read_backlog, services)
        except SQLAlchemyError as error:
            return json_answer(
                503, {"ready": False, "reason": f"the database is away: {type(error).__name__}"}
            )
        now = services.clock.now()
        ready = found.age(now=now) <= DUE_SECONDS_MAX
        ages = {queue: (now - since) / SECOND for queue, since in found.due_since.items()}
        body = {"ready": ready, "oldest_due_seconds": ages, "bound_seconds": DUE_SECONDS_MAX}
        return json_answer(200 if ready else 503, body)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        description="For this machine, an operator who signed in, or a key of scope `read` (Bearer, or Basic).",
        responses={401: {"description": "Neither this machine, nor an operator, nor a key of scope read."}},
    )
    async def metrics(request: Request) -> Response:
        try:
            if not await _may_read(services, request, door, keys):
                headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
                said = "figures are for this machine or a key of scope read: nurture access key add NAME --scope read\n"
                return Response(said, 401, headers, "text/plain")
        except Unavailable as error:
            return json_answer(503, {"error": str(error)})
        text = await asyncio.to_thread(render_page, services.database, clock=services.clock)
        return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    return router


async def _may_read(services: Services, request: Request, door: ConsoleDoor, keys: KeyRing) -> bool:
    """Tell whether the figures may be shown: they tell how much business there is."""
    if from_this_machine(request, services.settings) or await keys.bearer(request, "read"):
        return True
    return bool(request.cookies) and await asyncio.to_thread(door.who, request) is not None


def read_backlog(services: Services) -> Backlog:
    """Return what waits in every room."""
    with services.database.read() as connection:
        return measure_backlog(connection, now=services.clock.now())


def json_answer(status: int, body: Any) -> Response:
    """Return a JSON answer that nobody keeps."""
    headers = {"Cache-Control": "no-store"}
    return Response(encode(body), status_code=status, media_type="application/json", headers=headers)


def groups_of(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the operations of an OpenAPI document by tag, for people to read."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            line = {
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "answers": [
                    (status, said["description"])
                    for status, said in operation.get("responses", {}).items()
                    if said.get("description") not in ("Successful Response", "Validation Error")
                ],
            }
            found.setdefault((operation.get("tags") or ["more"])[0], []).append(line)
    return [(name.capitalize(), lines) for name, lines in found.items()]
