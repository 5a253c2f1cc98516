"""The one HTTP application: every route, what they share, and what happens when something is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import nurture
from nurture.app.event_body import TooLarge
from nurture.app.group_commit import GroupCommit
from nurture.app.services import Services
from nurture.web import operations
from nurture.web.api import segment, transactional, webhooks
from nurture.web.api.customerio import TrackApi
from nurture.web.api.keys import KeyRing
from nurture.web.brand import active_playbook, brand_of
from nurture.web.console.actions import Desk
from nurture.web.console.layout import Frame
from nurture.web.console.login import ConsoleDoor
from nurture.web.console.views import Console
from nurture.web.headers import SafeHeaders
from nurture.web.html import stylesheet
from nurture.web.pages.routes import PublicPages

_ABOUT = "Events in; every person's place in the journey kept true; the mail that fits out."


def create_app(services: Services) -> FastAPI:
    """Return the application over these services; whoever opened the services closes them."""
    commit = GroupCommit(database=services.database, clock=services.clock)

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        commit.start()
        try:
            yield
        finally:
            commit.stop()

    # The pages for people are our own: FastAPI's load scripts from another host.
    application = FastAPI(
        title="nurture",
        version=nurture.__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    keys = KeyRing(services)
    door = segment.Door(keys=keys, commit=commit, clock=services.clock)
    segment.add_endpoints(application, door, base_url=services.settings.public_url)
    application.include_router(TrackApi(door, services).routes())
    application.include_router(transactional.routes(services, door))
    application.include_router(PublicPages(services).routes())
    application.include_router(webhooks.routes(services))
    frame = Frame(services, ConsoleDoor(services))
    application.include_router(operations.routes(services, frame.door, keys))
    application.include_router(Console(services, application, frame).routes())
    application.include_router(Desk(frame).routes())
    _add_styles(application, services)
    application.add_middleware(SafeHeaders)
    application.add_exception_handler(SQLAlchemyError, _away)
    application.add_exception_handler(TooLarge, _unread)
    application.add_exception_handler(TimeoutError, _unread)
    application.add_exception_handler(ClientDisconnect, _unread)
    application.add_exception_handler(RequestValidationError, _not_found)
    application.add_exception_handler(HTTPException, _plain)
    return application


def _add_styles(application: FastAPI, services: Services) -> None:
    """Serve the style sheet, and the brand's colour as one of its own: no page needs an inline style."""

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


async def _away(_request: Request, _error: Exception) -> Response:
    headers = {"Retry-After": "5", "Cache-Control": "no-store"}
    return Response("The database is away; try again in a moment.\n", 503, headers, "text/plain")


async def _unread(_request: Request, error: Exception) -> Response:
    """Answer a form that was too large or never came, and hang up."""
    status = 413 if isinstance(error, TooLarge) else 408
    return Response("The form could not be read.\n", status, {"Connection": "close"}, "text/plain")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return Response("Not found.\n", 404, media_type="text/plain")


async def _plain(_request: Request, error: Exception) -> Response:
    status, said = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "Error")
    return Response(f"{said}.\n", status, getattr(error, "headers", None), "text/plain")
