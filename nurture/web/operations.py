"""What operators and their machines ask: is it alive, does work get done, figures, what the API offers."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.services import Services
from nurture.domain.instant import SECOND
from nurture.metrics import CONTENT_TYPE
from nurture.metrics import page as metrics_page
from nurture.store.backlog import Backlog, backlog
from nurture.store.database import encode

#: Work older than this means that nobody does it.
DUE_SECONDS_MAX = 300


def routes(services: Services) -> APIRouter:
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

    @router.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        text = await asyncio.to_thread(metrics_page, services.database, clock=services.clock)
        return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    return router


def read_backlog(services: Services) -> Backlog:
    """Return what waits in every room."""
    with services.database.read() as connection:
        return backlog(connection, now=services.clock.now())


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
