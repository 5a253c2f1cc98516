"""The console: read-only pages over the reports, for operators and for a first look."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from nurture.app.services import Services
from nurture.domain.errors import NotFoundError
from nurture.reports import ledger
from nurture.reports.console import figures, find_contacts, quarantined, runs_by_measure, story
from nurture.store.backlog import backlog
from nurture.web.brand import active_playbook
from nurture.web.login import ConsoleDoor, from_own_page
from nurture.web.mailbox import Mailbox, mailbox_path
from nurture.web.operations import groups_of
from nurture.web.pages import CONSOLE_HEADERS, MAIL_HEADERS, page
from nurture.web.request import read_form

PAGE_SIZE = 50
#: What became of a planned mail, in the order of the table.
OUTCOMES = ("sent", "waiting", "skipped", "cancelled", "expired", "failed", "in_doubt")

Show = Callable[[Request], Response]


class Console:
    """The pages of one application."""

    def __init__(self, services: Services, application: FastAPI) -> None:
        """Keep what the pages are made from."""
        self._services = services
        self._application = application
        self._door = ConsoleDoor(services)
        path = mailbox_path(services.settings.mail_url)
        self._mailbox = Mailbox(path) if path else None

    def routes(self) -> APIRouter:
        """Return the console's routes; every one but the login and the API's description asks the door first."""
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
            router.add_api_route(path, self._guarded(show), methods=["GET", "HEAD"], response_class=Response)
        # What the API is, everybody may know; /openapi.json says the same.
        router.add_api_route("/docs", self._docs, methods=["GET", "HEAD"], response_class=Response)
        router.add_api_route("/login", self._login, methods=["GET", "HEAD"], response_class=Response)
        router.add_api_route("/login", self._sign_in, methods=["POST"], response_class=Response)
        router.add_api_route("/logout", self._sign_out, methods=["POST"], response_class=Response)
        return router

    def _guarded(self, show: Show) -> Show:
        def get(request: Request) -> Response:
            if not self._door.is_open(request):
                return RedirectResponse(
                    f"/login?next={request.url.path}", status_code=303, headers=CONSOLE_HEADERS
                )
            return show(request)

        get.__name__ = show.__name__
        return get

    def _page(self, name: str, here: str, *, status: int = 200, **values: Any) -> Response:
        values = {"here": here, "signed_in": self._door.has_password, **values}
        return page(f"console/{name}.html", status=status, headers=CONSOLE_HEADERS, **values)

    def _missing(self, what: str, here: str) -> Response:
        return self._page("missing", here, status=404, what=what)

    # ---- signing in --------------------------------------------------------------------------------------

    def _login(self, request: Request) -> Response:
        if self._door.is_open(request):
            return RedirectResponse("/", status_code=303, headers=CONSOLE_HEADERS)
        return self._login_page(
            request.query_params.get("next", "/"), status=200 if self._door.has_password else 403
        )

    def _login_page(self, target: str, *, wrong: str = "", status: int = 200) -> Response:
        values = {"closed": not self._door.has_password, "wrong": wrong, "next": own_path(target)}
        return page("console/login.html", status=status, headers=CONSOLE_HEADERS, **values)

    async def _sign_in(self, request: Request) -> Response:
        form = await read_form(request)
        target = own_path((form.get("next") or ["/"])[0])
        now = self._services.clock.now()
        if not from_own_page(request):
            return self._login_page(target, wrong="Please sign in from this page.", status=403)
        if self._door.is_shut(now):
            return self._login_page(target, wrong="Too many wrong passwords; wait five minutes.", status=429)
        if not self._door.admits((form.get("password") or [""])[0], now):
            return self._login_page(target, wrong="That is not the password.", status=401)
        answer = RedirectResponse(target, status_code=303, headers=CONSOLE_HEADERS)
        self._door.sign_in(answer, now)
        return answer

    async def _sign_out(self, request: Request) -> Response:
        answer = RedirectResponse("/login", status_code=303, headers=CONSOLE_HEADERS)
        if from_own_page(request):
            self._door.sign_out(answer)
        return answer

    # ---- pages -------------------------------------------------------------------------------------------

    def _overview(self, _request: Request) -> Response:
        now = self._services.clock.now()
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            stages = [(stage.track, stage.name) for stage in loaded.playbook.stages] if loaded else []
            waiting = backlog(connection, now=now)
            return self._page(
                "overview",
                "/",
                figures=figures(connection, stages=stages),
                due_age=waiting.age(now=now),
                due_since=waiting.due_since,
                now=now,
                playbook=loaded.playbook.name if loaded else "",
            )

    def _mails(self, request: Request) -> Response:
        query = request.query_params.get("q", "")[:200].strip()
        number = page_number(request)
        lines, total = (
            self._mailbox.page(query=query, number=number, size=PAGE_SIZE) if self._mailbox else ([], 0)
        )
        return self._page(
            "mailbox",
            "/mailbox",
            mails=lines,
            total=total,
            more=number * PAGE_SIZE < total,
            page=number,
            q=query,
            path=str(self._mailbox.path) if self._mailbox else "",
        )

    def _mail(self, request: Request) -> Response:
        key = request.path_params["key"]
        try:
            mail = self._mailbox.read(key) if self._mailbox else None
        except NotFoundError:
            mail = None
        return self._page("mail", "/mailbox", mail=mail) if mail else self._missing("mail", "/mailbox")

    def _mail_html(self, request: Request) -> Response:
        try:
            mail = self._mailbox.read(request.path_params["key"]) if self._mailbox else None
        except NotFoundError:
            mail = None
        if mail is None or mail.html is None:
            return Response("", status_code=404, headers=MAIL_HEADERS)
        # Links open in a tab of their own: inside the frame the public pages refuse to be shown.
        html = mail.html.replace("<head>", '<head><base target="_blank">', 1)
        return Response(html, media_type="text/html", headers=MAIL_HEADERS)

    def _contacts(self, request: Request) -> Response:
        query = request.query_params.get("q", "")[:320].strip()
        with self._services.database.read() as connection:
            return self._page("contacts", "/contacts", contacts=find_contacts(connection, query), q=query)

    def _contact(self, request: Request) -> Response:
        with self._services.database.read() as connection:
            found = story(connection, request.path_params["contact_id"])
        if found is None:
            return self._missing("contact", "/contacts")
        return self._page("contact", "/contacts", story=found, contact=found.contact)

    def _measures(self, _request: Request) -> Response:
        with self._services.database.read() as connection:
            loaded = active_playbook(self._services, connection)
            rows = measure_rows(connection, {} if loaded is None else loaded.playbook.measures)
        return self._page("measures", "/measures", measures=rows, columns=OUTCOMES)

    def _quarantine(self, _request: Request) -> Response:
        with self._services.database.read() as connection:
            stages, items = quarantined(connection)
        return self._page("quarantine", "/quarantine", stages=stages, items=items)

    def _docs(self, _request: Request) -> Response:
        groups = groups_of(self._application.openapi())
        keys = self._services.settings.write_keys
        return self._page(
            "docs",
            "/docs",
            groups=groups,
            base_url=self._services.settings.public_url,
            example_key="WRITE_KEY" if keys else "any-key",
        )


def measure_rows(connection: sa.Connection, known: Any) -> list[dict[str, Any]]:
    """Return the conservation of every measure, those of the playbook that planned nothing yet included."""
    planned = {row["measure"]: row for row in ledger.measures(connection)}
    entered = runs_by_measure(connection)
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


def own_path(target: str) -> str:
    """Return a path of this site, `/` for anything that might lead elsewhere."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
