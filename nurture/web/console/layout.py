"""The frame of every console page: the required role, the navigation, and the check of form tokens."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from nurture.app.services import Services
from nurture.domain.access import Operator, Role
from nurture.web.console.login import ConsoleLogin
from nurture.web.html import CONSOLE_HEADERS, render_page
from nurture.web.request import read_form

Form = Mapping[str, str]
ShowView = Callable[[Request, Operator], Response]
SubmitAction = Callable[[Request, Operator, Form], Response]


class ConsoleLayout:
    """Wraps the pages of the console: checks roles and form tokens, and renders templates."""

    def __init__(self, services: Services, login: ConsoleLogin) -> None:
        """Use these services and this login."""
        self.services = services
        self.login = login

    def view_route(self, role: Role, show: ShowView) -> Callable[[Request], Response]:
        """Return the route of a page that requires this role."""

        def get(request: Request) -> Response:
            operator = self.login.current_operator(request)
            if operator is None:
                return redirect_to_login(request)
            if not operator.may(role):
                return self.forbidden_page(request, operator, role)
            return show(request, operator)

        get.__name__ = show.__name__
        return get

    def action_route(self, role: Role, act: SubmitAction) -> Callable[[Request], Any]:
        """Return the route of a form that requires this role and a valid form token."""

        async def post(request: Request) -> Response:
            form = {name: values[0] for name, values in (await read_form(request)).items()}
            return await asyncio.to_thread(self._act, request, form, role, act)

        post.__name__ = act.__name__
        return post

    def _act(self, request: Request, form: Form, role: Role, act: SubmitAction) -> Response:
        operator = self.login.current_operator(request)
        if operator is None:
            return RedirectResponse("/login", status_code=303, headers=CONSOLE_HEADERS)
        if not operator.may(role):
            return self.forbidden_page(request, operator, role)
        if not self.login.is_valid_form(request, operator, form.get("form", "")):
            text = "This form was not sent from its own page, or the session has changed. Go back and reload the page."
            return self.render(
                request, operator, "missing", "", status=403, title="Nothing was changed", text=text
            )
        return act(request, operator, form)

    def render(
        self,
        request: Request,
        operator: Operator | None,
        name: str,
        here: str,
        *,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """Return the console page of a template. here: the path that the navigation marks."""
        token, made = self.login.form_token(request, operator)
        values = {"here": here, "operator": operator, "form_token": token, **values}
        answer = render_page(f"console/{name}.html", status=status, headers=CONSOLE_HEADERS, **values)
        self.login.set_form_cookie(answer, made)
        return answer

    def not_found_page(self, request: Request, operator: Operator, what: str, here: str) -> Response:
        """Return the 404 page for a `what` (mail, contact) that does not exist."""
        text = f"There is no such {what}."
        return self.render(request, operator, "missing", here, status=404, title="Not found", text=text)

    def forbidden_page(self, request: Request, operator: Operator, role: Role) -> Response:
        """Return the 403 page for an operator whose role is too low."""
        text = f"This page needs the role {role}; your role is {operator.role}. An admin can change it."
        return self.render(request, operator, "missing", "", status=403, title="Not allowed", text=text)


def redirect_to_login(request: Request) -> Response:
    """Return the redirect to the sign-in page, which leads back to this page."""
    return RedirectResponse(f"/login?next={request.url.path}", status_code=303, headers=CONSOLE_HEADERS)


def redirect_to(path: str) -> Response:
    """Return the redirect to a page after its form was processed."""
    return RedirectResponse(path, status_code=303, headers=CONSOLE_HEADERS)


def local_path(target: str) -> str:
    """Return the target if it is a path of this site, else `/`, so that no link redirects to another site."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and target.isprintable() else "/"
