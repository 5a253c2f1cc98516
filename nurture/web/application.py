"""The HTTP application: all routes, what they share, and the responses to errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import nurture
from nurture.app.event_body import TooLarge
from nurture.app.group_commit import GroupCommit
from nurture.app.services import Services
from nurture.web import operations
from nurture.web.access_log import AccessLog
from nurture.web.api import segment, transactional, webhooks
from nurture.web.api.customerio import TrackApi
from nurture.web.api.keys import KeyRing
from nurture.web.brand import active_playbook, brand_of
from nurture.web.console.actions import ConsoleActions
from nurture.web.console.layout import ConsoleLayout
from nurture.web.console.login import ConsoleLogin
from nurture.web.console.sends import ConsoleSends
from nurture.web.console.views import ConsoleViews
from nurture.web.headers import DefaultHeaders, RefuseNul
from nurture.web.html import stylesheet
from nurture.web.pages.routes import PublicPages

_ABOUT = "Receives events, tracks each person's stage, and sends the mail that fits."


def create_app(services: Services) -> FastAPI:
    """Return the application for these services. The caller closes the services."""
    commit = GroupCommit(database=services.database, clock=services.clock, keys=services.keys)

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        commit.start()
        try:
            yield
        finally:
            commit.stop()

    # FastAPI's own documentation pages load scripts from another host, so the console has its own.
    application = FastAPI(
        title="nurture",
        version=nurture.__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    keys = KeyRing(services)
    ingest = segment.IngestContext(keys=keys, commit=commit, clock=services.clock, services=services)
    segment.add_endpoints(application, ingest, base_url=services.settings.public_url)
    _add_routes(application, TrackApi(ingest, services).routes())
    _add_routes(application, transactional.routes(services, ingest))
    _add_routes(application, PublicPages(services).routes())
    _add_routes(application, webhooks.routes(services))
    layout = ConsoleLayout(services, ConsoleLogin(services))
    _add_routes(application, operations.routes(services, layout.login, keys))
    _add_routes(application, ConsoleViews(services, application, layout).routes())
    _add_routes(application, ConsoleActions(layout).routes())
    _add_routes(application, ConsoleSends(layout).routes())
    _add_styles(application, services)
    application.add_middleware(RefuseNul)
    application.add_middleware(DefaultHeaders)
    application.add_middleware(AccessLog)
    application.add_exception_handler(SQLAlchemyError, _database_unavailable)
    application.add_exception_handler(TooLarge, _unreadable_form)
    application.add_exception_handler(TimeoutError, _unreadable_form)
    application.add_exception_handler(ClientDisconnect, _unreadable_form)
    application.add_exception_handler(RequestValidationError, _not_found)
    application.add_exception_handler(HTTPException, _http_error)
    return application


def _add_routes(application: FastAPI, router: APIRouter) -> None:
    """Serve the routes of a router; `include_router` would analyse each of their functions a second time."""
    application.router.routes.extend(router.routes)


def _add_styles(application: FastAPI, services: Services) -> None:
    """Serve the style sheet, and the brand's colour as a second one, so that no page needs an inline style."""

    @application.get("/static/nurture.css", include_in_schema=False)
    async def sheet() -> Response:
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(stylesheet(), media_type="text/css", headers=headers)

    @application.get("/brand.css", include_in_schema=False)
    def brand() -> Response:
        with services.database.read() as connection:
            color = brand_of(active_playbook(services, connection), None).color
        text = f":root {{ --brand: {color}; }}\n" if color else ""
        headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
        return Response(text, media_type="text/css", headers=headers)


async def _database_unavailable(_request: Request, _error: Exception) -> Response:
    headers = {"Retry-After": "5", "Cache-Control": "no-store"}
    return Response("The database is unavailable; try again in a moment.\n", 503, headers, "text/plain")


async def _unreadable_form(_request: Request, error: Exception) -> Response:
    """Return the response to a form that was too large or incomplete, and close the connection."""
    status = 413 if isinstance(error, TooLarge) else 408
    return Response("The form could not be read.\n", status, {"Connection": "close"}, "text/plain")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return Response("Not found.\n", 404, media_type="text/plain")


async def _http_error(_request: Request, error: Exception) -> Response:
    status, text = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "Error")
    return Response(f"{text}.\n", status, getattr(error, "headers", None), "text/plain")
