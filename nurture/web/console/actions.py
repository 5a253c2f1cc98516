"""The pages of the console that act: signing in and out, one's own account, and what admins look after."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from nurture.access import queries
from nurture.app import access as people
from nurture.app import approvals
from nurture.database.audit import load_newest, record
from nurture.domain.access import FIRST_ADMIN, Operator, may_be_same_person
from nurture.domain.errors import UserError
from nurture.web.console.layout import Form, Frame, back_to, own_path
from nurture.web.console.login import Shut
from nurture.web.html import CONSOLE_HEADERS, page
from nurture.web.request import from_own_page, read_form

Decide = Callable[..., dict[str, Any]]


class Desk:
    """The pages of one application."""

    def __init__(self, frame: Frame) -> None:
        """Keep the frame that the pages stand in."""
        self._frame = frame
        self._door = frame.door
        self._services = frame.services

    def routes(self) -> APIRouter:
        """Return the routes; who may what stands beside each."""
        router = APIRouter(include_in_schema=False)
        shown, acting = self._frame.shown, self._frame.acting
        for method, path, route in (
            ("GET", "/login", self._login),
            ("POST", "/login", self._sign_in),
            ("POST", "/logout", acting("viewer", self._sign_out)),
            ("GET", "/account", shown("viewer", self._account)),
            ("POST", "/account/password", acting("viewer", self._change_password)),
            ("POST", "/account/sessions", acting("viewer", self._end_sessions)),
            ("GET", "/sends", shown("viewer", self._sends)),
            ("POST", "/sends/approve", acting("operator", self._approve)),
            ("POST", "/sends/reject", acting("operator", self._reject)),
            ("GET", "/access", shown("admin", self._access)),
            ("GET", "/audit", shown("admin", self._audit)),
        ):
            methods = ["GET", "HEAD"] if method == "GET" else [method]
            router.add_api_route(path, route, methods=methods, response_class=Response)
        return router

    # ---- in and out --------------------------------------------------------------------------------------

    def _login(self, request: Request) -> Response:
        if self._door.who(request):
            return back_to("/")
        return self._login_page(request, request.query_params.get("next", "/"))

    def _login_page(self, request: Request, target: str, *, wrong: str = "", status: int = 200) -> Response:
        is_closed = not self._door.has_password()
        token, made = self._door.form_token(request, None)
        values = {"closed": is_closed, "wrong": wrong, "next": own_path(target), "form_token": token}
        status = 403 if is_closed else status
        answer = page("console/login.html", status=status, headers=CONSOLE_HEADERS, **values)
        self._door.keep_before(answer, made)
        return answer

    async def _sign_in(self, request: Request) -> Response:
        form = {name: values[0] for name, values in (await read_form(request)).items()}
        return await asyncio.to_thread(self._sign_in_with, request, form)

    def _sign_in_with(self, request: Request, form: Form) -> Response:
        target = own_path(form.get("next", "/"))
        if not from_own_page(request) or not self._door.proves(request, None, form.get("form", "")):
            return self._login_page(request, target, wrong="Please sign in from this page.", status=403)
        try:
            cookie = self._door.sign_in(request, form.get("name", ""), form.get("password", ""))
        except Shut:
            wrong = "Too many wrong passwords; wait five minutes."
            return self._login_page(request, target, wrong=wrong, status=429)
        if cookie is None:
            return self._login_page(request, target, wrong="That is not the name and password.", status=401)
        answer = back_to(target)
        self._door.keep(answer, cookie)
        return answer

    def _sign_out(self, _request: Request, operator: Operator, _form: Form) -> Response:
        answer = back_to("/login")
        self._door.sign_out(answer, operator)
        return answer

    # ---- one's own account -------------------------------------------------------------------------------

    def _account(
        self, request: Request, operator: Operator, *, said: str = "", status: int = 200
    ) -> Response:
        with self._services.database.read() as connection:
            row = queries.find_user(connection, operator.name)
            is_first = operator.name == FIRST_ADMIN
            mine = queries.list_sessions(connection, row.id if row else None) if row or is_first else []
        values: dict[str, Any] = {"sessions": mine, "has_password": row is not None, "said": said}
        return self._frame.page(request, operator, "account", "/account", status=status, **values)

    def _change_password(self, request: Request, operator: Operator, form: Form) -> Response:
        with self._services.database.read() as connection:
            row = queries.find_user(connection, operator.name)
        if row is None:
            said = (
                "This sign-in has no password of its own; NURTURE_ADMIN_PASSWORD is changed in the settings."
            )
            return self._account(request, operator, said=said, status=400)
        try:
            if not self._door.is_right(request, operator.name, form.get("password", "")):
                return self._account(request, operator, said="That is not your password.", status=400)
            people.set_password(
                self._services, operator.name, password=form.get("new", ""), actor=operator.actor
            )
        except Shut:
            return self._account(
                request, operator, said="Too many wrong passwords; wait five minutes.", status=429
            )
        except UserError as error:
            return self._account(request, operator, said=str(error), status=400)
        return back_to("/login")

    def _end_sessions(self, _request: Request, operator: Operator, form: Form) -> Response:
        """End one session of one's own, or all but this one."""
        with self._services.database.read() as connection:
            row = queries.find_user(connection, operator.name)
            mine = queries.list_sessions(connection, row.id if row else None)
        wanted = form.get("session", "")
        ended = [
            session.id
            for session in mine
            if wanted == session.id or (not wanted and session.id != operator.session)
        ]

        def work(connection: Any) -> None:
            count = queries.close_sessions(connection, ended)
            now = self._services.clock.now()
            detail = {"sessions": count}
            record(connection, at=now, actor=operator.actor, action="access.sessions.end", detail=detail)

        self._services.database.run(work)
        return back_to("/account")

    # ---- sends that wait for a second operator -----------------------------------------------------------

    def _sends(self, request: Request, operator: Operator, *, said: str = "", status: int = 200) -> Response:
        rows = approvals.list_requests(self._services)
        for row in rows:
            row["may_approve"] = not may_be_same_person(row["asked_by"], operator.actor)
        over = self._services.settings.approve_sends_over
        values: dict[str, Any] = {"rows": rows, "over": over, "said": said}
        return self._frame.page(request, operator, "sends", "/sends", status=status, **values)

    def _approve(self, request: Request, operator: Operator, form: Form) -> Response:
        return self._decided(request, operator, form, approvals.approve)

    def _reject(self, request: Request, operator: Operator, form: Form) -> Response:
        return self._decided(request, operator, form, approvals.reject)

    def _decided(self, request: Request, operator: Operator, form: Form, decide: Decide) -> Response:
        try:
            decide(self._services, form.get("request", ""), actor=operator.actor)
        except UserError as error:
            return self._sends(request, operator, said=str(error), status=400)
        return back_to("/sends")

    # ---- what admins look after --------------------------------------------------------------------------

    def _access(self, request: Request, operator: Operator) -> Response:
        users, keys = people.list_users(self._services), people.list_keys(self._services)
        return self._frame.page(request, operator, "access", "/access", users=users, keys=keys)

    def _audit(self, request: Request, operator: Operator) -> Response:
        said = request.query_params.get("before", "")
        before = int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None
        with self._services.database.read() as connection:
            rows = load_newest(connection, before=before, limit=100)
        return self._frame.page(request, operator, "audit", "/audit", rows=rows)
