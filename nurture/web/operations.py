"""Endpoints for operators and monitoring: liveness, readiness, metrics, and the API's description."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from nurture.app.group_commit import Unavailable
from nurture.app.services import Services
from nurture.app.status import find_trouble
from nurture.app.watch import receives_mail
from nurture.database.engine import encode
from nurture.domain.health.findings import Finding
from nurture.domain.health.judge import DUE_MAX, due_bound
from nurture.domain.instant import SECOND
from nurture.reports.backlog import QUEUES, Backlog, measure_backlog
from nurture.reports.metrics import CONTENT_TYPE, render_page
from nurture.web.api.keys import KeyRing
from nurture.web.console.login import ConsoleLogin
from nurture.web.request import is_from_this_machine

#: Problems by which mail does not leave. Others, such as a broker that is away, need a person and stop nothing.
UNREADY = {"late", "relay", "stalled"}


def routes(services: Services, login: ConsoleLogin, keys: KeyRing) -> APIRouter:
    """Return /healthz, /readyz and /metrics."""
    router = APIRouter(tags=["operations"], default_response_class=Response)

    @router.get("/healthz", summary="Check that the process is alive")
    async def healthz() -> Response:
        return json_response(200, {"alive": True})

    @router.get(
        "/readyz", summary="Check that the database and the relays are reachable and no due work is too old"
    )
    async def readyz() -> Response:
        try:
            due, trouble = await asyncio.to_thread(read_readiness, services)
        except SQLAlchemyError as error:
            return json_response(
                503, {"ready": False, "reason": f"the database is unavailable: {type(error).__name__}"}
            )
        now = services.clock.now()
        problems = {finding.part for finding in trouble if finding.severity == "problem"}
        ages = {queue: (now - since) / SECOND for queue, since in due.due_since.items()}
        bounds = {queue: due_bound(queue) / SECOND for queue in QUEUES}
        in_time = all(age <= bounds[queue] for queue, age in ages.items())
        ready = in_time and problems.isdisjoint(UNREADY)
        body = {"ready": ready, "oldest_due_seconds": ages, "bound_seconds": DUE_MAX / SECOND}
        body |= {"bounds_seconds": bounds}
        # Anybody may ask, so the body names the parts and no more.
        body |= {"problems": sorted(problems)}
        return json_response(200 if ready else 503, body)

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        description="For this machine, a signed-in operator, or a key of scope `read` (Bearer or Basic).",
        responses={401: {"description": "The request needs a signed-in operator or a key of scope `read`."}},
    )
    async def metrics(request: Request) -> Response:
        try:
            if not await _may_read_metrics(services, request, login, keys):
                headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
                reason = "metrics need a key of scope read: nurture access key add NAME --scope read\n"
                return Response(reason, 401, headers, "text/plain")
        except Unavailable as error:
            return json_response(503, {"error": str(error)})
        takes_mail = receives_mail(services.settings)
        text = await asyncio.to_thread(
            render_page, services.database, clock=services.clock, takes_mail=takes_mail
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    return router


async def _may_read_metrics(services: Services, request: Request, login: ConsoleLogin, keys: KeyRing) -> bool:
    """Tell whether the request may read the metrics, which reveal the volume of business."""
    if is_from_this_machine(request, services.settings) or await keys.authenticate(request, "read"):
        return True
    return bool(request.cookies) and await asyncio.to_thread(login.current_operator, request) is not None


def read_readiness(services: Services) -> tuple[Backlog, list[Finding]]:
    """Return the oldest due work of each room, and the trouble that was found."""
    with services.database.read() as connection:
        backlog = measure_backlog(connection, now=services.clock.now())
        return backlog, find_trouble(services, connection)


def json_response(status: int, body: Any) -> Response:
    """Return a JSON response that must not be cached."""
    headers = {"Cache-Control": "no-store"}
    return Response(encode(body), status_code=status, media_type="application/json", headers=headers)


def group_operations(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the operations of an OpenAPI document by tag, for the console's API page."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            entry = {
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "answers": [
                    (status, response["description"])
                    for status, response in operation.get("responses", {}).items()
                    if response.get("description") not in ("Successful Response", "Validation Error")
                ],
            }
            groups.setdefault((operation.get("tags") or ["more"])[0], []).append(entry)
    return [(name.capitalize(), entries) for name, entries in groups.items()]
