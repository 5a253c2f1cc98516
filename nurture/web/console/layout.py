"""What every page of the console stands in: who may see it, who may act, and what its forms prove."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from nurture.app.services import Services
from nurture.domain.access import Operator, Role
from nurture.web.console.login import ConsoleDoor
from nurture.web.html import CONSOLE_HEADERS, page
from nurture.web.request import read_form

Form = Mapping[str, str]
Show = Callable[[Request, Operator], Response]
Act = Callable[[Request, Operator, Form], Response]


class Frame:
    """The door, and the page around a page; one per application."""

    def __init__(self, services: Services, door: ConsoleDoor) -> None:
        """Keep what pages are made from."""
        self.services = services
        self.door = door

    def shown(self, role: Role, show: Show) -> Callable[[Request], Response]:
        """Return the route of a page that people of this role may see."""

        def get(request: Request) -> Response:
            operator = self.door.who(request)
            if operator is None:
                return to_login(request)
            if not operator.may(role):
                return self.forbidden(request, operator, role)
            return show(request, operator)

        get.__name__ = show.__name__
        return get

    def acting(self, role: Role, act: Act) -> Callable[[Request], Any]:
        """Return the route of a form that people of this role may send, from a page of ours only."""

        async def post(request: Request) -> Response:
            form = {name: values[0] for name, values in (await read_form(request)).items()}
            return await asyncio.to_thread(self._act, request, form, role, act)

        post.__name__ = act.__name__
        return post

    def _act(self, request: Request, form: Form, role: Role, act: Act) -> Response:
        operator = self.door.who(request)
        if operator is None:
            return RedirectResponse("/login", status_code=303, headers=CONSOLE_HEADERS)
        if not operator.may(role):
            return self.forbidden(request, operator, role)
        if not self.door.proves(request, operator, form.get("form", "")):
            text = "This form was not sent from its own page, or the session has changed. Go back and load it again."
            return self.page(request, operator, "missing", "", status=403, title="Not done", text=text)
        return act(request, operator, form)

    def page(
        self,
        request: Request,
        operator: Operator | None,
        name: str,
        here: str,
        *,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """Return a page of the console."""
        token, made = self.door.form_token(request, operator)
        values = {"here": here, "operator": operator, "form_token": token, **values}
        answer = page(f"console/{name}.html", status=status, headers=CONSOLE_HEADERS, **values)
        self.door.keep_before(answer, made)
        return answer

    def missing(self, request: Request, operator: Operator, what: str, here: str) -> Response:
        """Return the page for what does not exist."""
        text = f"There is no such {what} here."
        return self.page(request, operator, "missing", here, status=404, title="Not found", text=text)

    def forbidden(self, request: Request, operator: Operator, role: Role) -> Response:
        """Return the page for somebody whose role is too low."""
        text = f"This is for people of the role {role}; yours is {operator.role}. An admin can change that."
        return self.page(request, operator, "missing", "", status=403, title="Not for you", text=text)


def to_login(request: Request) -> Response:
    """Return the way to sign in and back."""
    return RedirectResponse(f"/login?next={request.url.path}", status_code=303, headers=CONSOLE_HEADERS)


def back_to(path: str) -> Response:
    """Return the way back to a page after its form was done."""
    return RedirectResponse(path, status_code=303, headers=CONSOLE_HEADERS)


def own_path(target: str) -> str:
    """Return a path of this site, `/` for anything that might lead elsewhere."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and target.isprintable() else "/"
