"""The console's pages with forms: sign-in, the own account, and the pages of admins."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from nurture.access import queries
from nurture.app.accounts import access
from nurture.app.accounts.sign_in_limits import LockedOut
from nurture.database.audit import load_newest, record
from nurture.domain.access import FIRST_ADMIN, Operator
from nurture.domain.errors import UserError
from nurture.web.console.layout import ConsoleLayout, Form, local_path, redirect_to
from nurture.web.html import CONSOLE_HEADERS, render_page
from nurture.web.request import is_from_own_page, read_form

_LOCKED = (
    "Too many wrong passwords from here. Wait five minutes, sign in where you signed in before, or let somebody run "
    "nurture access user unlock with your name on the server."
)


class ConsoleActions:
    """The routes of these pages."""

    def __init__(self, layout: ConsoleLayout) -> None:
        """Use this layout, its login and its services."""
        self._layout = layout
        self._login = layout.login
        self._services = layout.services

    def routes(self) -> APIRouter:
        """Return the router; each route names the role that it requires."""
        router = APIRouter(include_in_schema=False)
        view, action = self._layout.view_route, self._layout.action_route
        for method, path, route in (
            ("GET", "/login", self._show_login),
            ("POST", "/login", self._sign_in),
            ("POST", "/logout", action("viewer", self._sign_out)),
            ("GET", "/account", view("viewer", self._account)),
            ("POST", "/account/password", action("viewer", self._change_password)),
            ("POST", "/account/sessions", action("viewer", self._end_sessions)),
            ("GET", "/access", view("admin", self._access)),
            ("GET", "/audit", view("admin", self._audit)),
        ):
            methods = ["GET", "HEAD"] if method == "GET" else [method]
            router.add_api_route(path, route, methods=methods, response_class=Response)
        return router

    # ---- sign-in and sign-out ----------------------------------------------------------------------------

    def _show_login(self, request: Request) -> Response:
        if self._login.current_operator(request):
            return redirect_to("/")
        answer = self._login_page(request, request.query_params.get("next", "/"))
        self._login.accept_device(answer, request.query_params.get("device", ""))
        return answer

    def _login_page(self, request: Request, target: str, *, wrong: str = "", status: int = 200) -> Response:
        is_closed = not self._login.has_password()
        token, made = self._login.form_token(request, None)
        values = {"closed": is_closed, "wrong": wrong, "next": local_path(target), "form_token": token}
        status = 403 if is_closed else status
        answer = render_page("console/login.html", status=status, headers=CONSOLE_HEADERS, **values)
        self._login.set_form_cookie(answer, made)
        return answer

    async def _sign_in(self, request: Request) -> Response:
        form = {name: values[0] for name, values in (await read_form(request)).items()}
        return await asyncio.to_thread(self._sign_in_with, request, form)

    def _sign_in_with(self, request: Request, form: Form) -> Response:
        target = local_path(form.get("next", "/"))
        if not is_from_own_page(request) or not self._login.is_valid_form(
            request, None, form.get("form", "")
        ):
            return self._login_page(request, target, wrong="Please sign in from this page.", status=403)
        try:
            cookie = self._login.sign_in(request, form.get("name", ""), form.get("password", ""))
        except LockedOut:
            return self._login_page(request, target, wrong=_LOCKED, status=429)
        if cookie is None:
            return self._login_page(request, target, wrong="That is not the name and password.", status=401)
        answer = redirect_to(target)
        self._login.set_session_cookie(answer, cookie, name=form.get("name", ""))
        return answer

    def _sign_out(self, _request: Request, operator: Operator, _form: Form) -> Response:
        answer = redirect_to("/login")
        self._login.sign_out(answer, operator)
        return answer

    # ---- the own account ---------------------------------------------------------------------------------

    def _account(
        self, request: Request, operator: Operator, *, message: str = "", status: int = 200
    ) -> Response:
        with self._services.database.read() as connection:
            row = queries.find_user(connection, operator.name)
            is_first = operator.name == FIRST_ADMIN
            mine = queries.list_sessions(connection, row.id if row else None) if row or is_first else []
        values: dict[str, Any] = {"sessions": mine, "has_password": row is not None, "message": message}
        return self._layout.render(request, operator, "account", "/account", status=status, **values)

    def _change_password(self, request: Request, operator: Operator, form: Form) -> Response:
        with self._services.database.read() as connection:
            row = queries.find_user(connection, operator.name)
        if row is None:
            message = (
                "This sign-in has no password of its own; NURTURE_ADMIN_PASSWORD is changed in the settings."
            )
            return self._account(request, operator, message=message, status=400)
        try:
            if not self._login.verify_own_password(request, operator.name, form.get("password", "")):
                return self._account(request, operator, message="That is not your password.", status=400)
            access.set_password(
                self._services, operator.name, password=form.get("new", ""), actor=operator.actor
            )
        except LockedOut:
            return self._account(request, operator, message=_LOCKED, status=429)
        except UserError as error:
            return self._account(request, operator, message=str(error), status=400)
        return redirect_to("/login")

    def _end_sessions(self, _request: Request, operator: Operator, form: Form) -> Response:
        """End one of the operator's own sessions, or all but this one."""
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
        return redirect_to("/account")

    # ---- pages of admins ---------------------------------------------------------------------------------

    def _access(self, request: Request, operator: Operator) -> Response:
        users, keys = access.list_users(self._services), access.list_keys(self._services)
        return self._layout.render(request, operator, "access", "/access", users=users, keys=keys)

    def _audit(self, request: Request, operator: Operator) -> Response:
        text = request.query_params.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
        with self._services.database.read() as connection:
            rows = load_newest(connection, before=before, limit=100)
        return self._layout.render(request, operator, "audit", "/audit", rows=rows)
