"""The console's read-only pages: overview, mailbox, contacts, measures, quarantine and the API's description."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request, Response
from markupsafe import Markup

from nurture.app.messages import show as show_message
from nurture.app.pictures import draw_person
from nurture.app.services import Services
from nurture.app.suppressions import describe_reasons
from nurture.consent.queries import load_family_ids
from nurture.domain.access import Operator
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.errors import NotFoundError
from nurture.domain.values import read_row_id
from nurture.pictures import page_part
from nurture.reports import ledger
from nurture.reports.backlog import measure_backlog
from nurture.reports.conflicts import describe_open_conflicts
from nurture.reports.console import (
    count_runs_by_measure,
    load_contact_page,
    load_overview,
    load_quarantine,
)
from nurture.reports.contact_search import find_contacts
from nurture.web.brand import active_playbook
from nurture.web.console.layout import ConsoleLayout
from nurture.web.console.mailbox import Mailbox, mailbox_path
from nurture.web.html import MAIL_HEADERS
from nurture.web.operations import group_operations

PAGE_SIZE = 50
#: The states of a planned mail, in the order of the table's columns.
STATE_COLUMNS = ("sent", "waiting", "skipped", "cancelled", "expired", "failed", "in_doubt")


class ConsoleViews:
    """The routes of these pages."""

    def __init__(self, services: Services, application: FastAPI, layout: ConsoleLayout) -> None:
        """Use these services and this layout; the application is described on the API page."""
        self._services = services
        self._application = application
        self._layout = layout
        path = mailbox_path(services.settings.mail_url)
        self._mailbox = Mailbox(path) if path else None

    def routes(self) -> APIRouter:
        """Return the router. Every page but the API's description requires an operator."""
        router = APIRouter(include_in_schema=False)
        for path, show in (
            ("/", self._overview),
            ("/mailbox", self._mails),
            ("/mailbox/{key}", self._mail),
            ("/mailbox/{key}/html", self._mail_html),
            ("/contacts", self._contacts),
            ("/contacts/{contact_id:int}", self._contact),
            ("/messages/{number:int}", self._message),
            ("/messages/{number:int}/html", self._message_html),
            ("/measures", self._measures),
            ("/quarantine", self._quarantine),
        ):
            route = self._layout.view_route("viewer", show)
            router.add_api_route(path, route, methods=["GET", "HEAD"], response_class=Response)
        # The API's description is public, as /openapi.json is.
        router.add_api_route("/docs", self._docs, methods=["GET", "HEAD"], response_class=Response)
        return router

    # ---- pages -------------------------------------------------------------------------------------------

    def _overview(self, request: Request, operator: Operator) -> Response:
        now = self._services.clock.now()
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            stages = [(stage.track, stage.name) for stage in loaded.playbook.stages] if loaded else []
            waiting = measure_backlog(connection, now=now)
            return self._layout.render(
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
        return self._layout.render(
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
            self._layout.render(request, operator, "mail", "/mailbox", mail=mail)
            if mail
            else self._layout.not_found_page(request, operator, "mail", "/mailbox")
        )

    def _mail_html(self, request: Request, _operator: Operator) -> Response:
        try:
            mail = self._mailbox.read(request.path_params["key"]) if self._mailbox else None
        except NotFoundError:
            mail = None
        if mail is None or mail.html is None:
            return Response("", status_code=404, headers=MAIL_HEADERS)
        return _mail_frame(mail.html)

    def _contacts(self, request: Request, operator: Operator) -> Response:
        query = request.query_params.get("q", "")[:320].strip()
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            lines = find_contacts(connection, query, playbook=loaded.playbook if loaded else None)
            return self._layout.render(request, operator, "contacts", "/contacts", contacts=lines, q=query)

    def _contact(self, request: Request, operator: Operator) -> Response:
        number = read_row_id(str(request.path_params["contact_id"]))
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            contact_story = number and load_contact_page(
                connection,
                number,
                playbook=loaded.playbook if loaded else None,
                now=self._services.clock.now(),
            )
            if not contact_story:
                return self._layout.not_found_page(request, operator, "contact", "/contacts")
            contact = contact_story.contact
            key = self._services.settings.suppression_secret
            suppressions = (
                describe_reasons(connection, contact.id, suppression_key=key)
                if contact.erased_at is None
                else []
            )
            conflicts = describe_open_conflicts(connection, load_family_ids(connection, contact.id))
        return self._layout.render(
            request,
            operator,
            "contact",
            "/contacts",
            story=contact_story,
            picture=Markup(  # noqa: S704 - it escapes its texts
                page_part(
                    draw_person(contact_story, self._services.clock.now()), summary="Numbers as a table"
                )
            ),
            contact=contact,
            suppressions=suppressions,
            conflicts=conflicts,
        )

    def _message(self, request: Request, operator: Operator) -> Response:
        try:
            message = show_message(self._services, str(request.path_params["number"]))
        except NotFoundError:
            return self._layout.not_found_page(request, operator, "mail", "/contacts")
        return self._layout.render(request, operator, "message", "/contacts", message=message)

    def _message_html(self, request: Request, _operator: Operator) -> Response:
        try:
            html = show_message(self._services, str(request.path_params["number"]))["html"]
        except NotFoundError:
            html = None
        return Response("", status_code=404, headers=MAIL_HEADERS) if html is None else _mail_frame(html)

    def _measures(self, request: Request, operator: Operator) -> Response:
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            rows = measure_rows(connection, {} if loaded is None else loaded.playbook.measures)
        return self._layout.render(
            request, operator, "measures", "/measures", measures=rows, columns=STATE_COLUMNS
        )

    def _quarantine(self, request: Request, operator: Operator) -> Response:
        with self._services.database.read() as connection:
            stages, items = load_quarantine(connection)
            conflicts = describe_open_conflicts(connection)
        return self._layout.render(
            request, operator, "quarantine", "/quarantine", stages=stages, items=items, conflicts=conflicts
        )

    def _docs(self, request: Request) -> Response:
        groups = group_operations(self._application.openapi())
        keys = self._services.settings.write_keys
        return self._layout.render(
            request,
            self._layout.login.current_operator(request),
            "docs",
            "/docs",
            groups=groups,
            base_url=self._services.settings.public_url,
            example_key="WRITE_KEY" if keys else "any-key",
        )


def _mail_frame(html: str) -> Response:
    """Return the HTML part of a mail, to be shown in a frame of a page."""
    # Links open in a tab of their own: inside the layout the public pages refuse to be shown.
    page = html.replace("<head>", '<head><base target="_blank">', 1)
    return Response(page, media_type="text/html", headers=MAIL_HEADERS)


def measure_rows(connection: sa.Connection, known: Any) -> list[dict[str, Any]]:
    """Return one row per measure, including the playbook's measures that have not planned a mail yet."""
    names = MeasureNames(known)
    planned = {names.shown(row["measure"]): row for row in ledger.count_by_measure(connection)}
    entered = {names.shown(root): runs for root, runs in count_runs_by_measure(connection).items()}
    empty = {"planned": 0, "balanced": True, **dict.fromkeys(STATE_COLUMNS, 0)}
    rows = []
    for path in sorted({*planned, *entered, *known}):
        row = planned.get(path, empty)
        counts = {name: row[name] for name in STATE_COLUMNS}
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
    """Return the requested page, from 1."""
    text = request.query_params.get("page", "1")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1
