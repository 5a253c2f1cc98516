"""The console: read-only pages over the reports, for operators and for a first look."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request, Response

from nurture.app.services import Services
from nurture.domain.access import Operator
from nurture.domain.errors import NotFoundError
from nurture.reports import ledger
from nurture.reports.backlog import measure_backlog
from nurture.reports.console import (
    count_runs_by_measure,
    find_contacts,
    load_contact_page,
    load_overview,
    load_quarantine,
)
from nurture.web.brand import active_playbook
from nurture.web.console.layout import Frame
from nurture.web.console.mailbox import Mailbox, mailbox_path
from nurture.web.html import MAIL_HEADERS
from nurture.web.operations import groups_of

PAGE_SIZE = 50
#: What became of a planned mail, in the order of the table.
OUTCOMES = ("sent", "waiting", "skipped", "cancelled", "expired", "failed", "in_doubt")


class Console:
    """The pages of one application."""

    def __init__(self, services: Services, application: FastAPI, frame: Frame) -> None:
        """Keep what the pages are made from."""
        self._services = services
        self._application = application
        self._frame = frame
        path = mailbox_path(services.settings.mail_url)
        self._mailbox = Mailbox(path) if path else None

    def routes(self) -> APIRouter:
        """Return the routes of the pages that only show; all but the API's description ask who is there."""
        router = APIRouter(include_in_schema=False)
        for path, show in (
            ("/", self._overview),
            ("/mailbox", self._mails),
            ("/mailbox/{key}", self._mail),
            ("/mailbox/{key}/html", self._mail_html),
            ("/contacts", self._contacts),
            ("/contacts/{contact_id:int}", self._contact),
            ("/measures", self._measures),
            ("/quarantine", self._quarantine),
        ):
            route = self._frame.shown("viewer", show)
            router.add_api_route(path, route, methods=["GET", "HEAD"], response_class=Response)
        # What the API is, everybody may know; /openapi.json says the same.
        router.add_api_route("/docs", self._docs, methods=["GET", "HEAD"], response_class=Response)
        return router

    # ---- pages -------------------------------------------------------------------------------------------

    def _overview(self, request: Request, operator: Operator) -> Response:
        now = self._services.clock.now()
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            stages = [(stage.track, stage.name) for stage in loaded.playbook.stages] if loaded else []
            waiting = measure_backlog(connection, now=now)
            return self._frame.page(
                request,
                operator,
                "overview",
                "/",
                figures=load_overview(connection, stages=stages),
                due_age=waiting.age(now=now),
                due_since=waiting.due_since,
                now=now,
                playbook=loaded.playbook.name if loaded else "",
            )

    def _mails(self, request: Request, operator: Operator) -> Response:
        query = request.query_params.get("q", "")[:200].strip()
        number = page_number(request)
        lines, total = (
            self._mailbox.page(query=query, number=number, size=PAGE_SIZE) if self._mailbox else ([], 0)
        )
        return self._frame.page(
            request,
            operator,
            "mailbox",
            "/mailbox",
            mails=lines,
            total=total,
            more=number * PAGE_SIZE < total,
            page=number,
            q=query,
            path=str(self._mailbox.path) if self._mailbox else "",
        )

    def _mail(self, request: Request, operator: Operator) -> Response:
        key = request.path_params["key"]
        try:
            mail = self._mailbox.read(key) if self._mailbox else None
        except NotFoundError:
            mail = None
        return (
            self._frame.page(request, operator, "mail", "/mailbox", mail=mail)
            if mail
            else self._frame.missing(request, operator, "mail", "/mailbox")
        )

    def _mail_html(self, request: Request, _operator: Operator) -> Response:
        try:
            mail = self._mailbox.read(request.path_params["key"]) if self._mailbox else None
        except NotFoundError:
            mail = None
        if mail is None or mail.html is None:
            return Response("", status_code=404, headers=MAIL_HEADERS)
        # Links open in a tab of their own: inside the frame the public pages refuse to be shown.
        html = mail.html.replace("<head>", '<head><base target="_blank">', 1)
        return Response(html, media_type="text/html", headers=MAIL_HEADERS)

    def _contacts(self, request: Request, operator: Operator) -> Response:
        query = request.query_params.get("q", "")[:320].strip()
        with self._services.database.read() as connection:
            return self._frame.page(
                request, operator, "contacts", "/contacts", contacts=find_contacts(connection, query), q=query
            )

    def _contact(self, request: Request, operator: Operator) -> Response:
        with self._services.database.read() as connection:
            found = load_contact_page(connection, request.path_params["contact_id"])
        if found is None:
            return self._frame.missing(request, operator, "contact", "/contacts")
        return self._frame.page(request, operator, "contact", "/contacts", story=found, contact=found.contact)

    def _measures(self, request: Request, operator: Operator) -> Response:
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            rows = measure_rows(connection, {} if loaded is None else loaded.playbook.measures)
        return self._frame.page(request, operator, "measures", "/measures", measures=rows, columns=OUTCOMES)

    def _quarantine(self, request: Request, operator: Operator) -> Response:
        with self._services.database.read() as connection:
            stages, items = load_quarantine(connection)
        return self._frame.page(request, operator, "quarantine", "/quarantine", stages=stages, items=items)

    def _docs(self, request: Request) -> Response:
        groups = groups_of(self._application.openapi())
        keys = self._services.settings.write_keys
        return self._frame.page(
            request,
            self._frame.door.who(request),
            "docs",
            "/docs",
            groups=groups,
            base_url=self._services.settings.public_url,
            example_key="WRITE_KEY" if keys else "any-key",
        )


def measure_rows(connection: sa.Connection, known: Any) -> list[dict[str, Any]]:
    """Return the conservation of every measure, those of the playbook that planned nothing yet included."""
    planned = {row["measure"]: row for row in ledger.count_by_measure(connection)}
    entered = count_runs_by_measure(connection)
    empty = {"planned": 0, "balanced": True, **dict.fromkeys(OUTCOMES, 0)}
    rows = []
    for path in sorted({*planned, *entered, *known}):
        row = planned.get(path, empty)
        counts = {name: row[name] for name in OUTCOMES}
        rows.append(
            {
                "path": path,
                "goal": known[path].goal if path in known else "",
                "runs": entered.get(path, 0),
                "planned": row["planned"],
                "counts": counts,
                "accounted": sum(counts.values()),
                "balanced": row["balanced"],
            }
        )
    return rows


def page_number(request: Request) -> int:
    """Return the page asked for, from 1."""
    said = request.query_params.get("page", "1")
    return max(int(said), 1) if said.isascii() and said.isdigit() and len(said) < 7 else 1
