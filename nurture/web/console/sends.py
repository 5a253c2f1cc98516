"""The console's pages of sends: list, one send, and the forms that approve, pause, resume and cancel."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from nurture.app import approvals
from nurture.app.sends import control
from nurture.domain.access import Operator, may_be_same_person
from nurture.domain.errors import NotFoundError, UserError
from nurture.web.console.layout import ConsoleLayout, Form, redirect_to

ChangeSend = Callable[..., dict[str, Any]]

_BY_CONSOLE: Final = "in the console"
#: Name of the form -> what it does with the send.
_CHANGES: Final[dict[str, ChangeSend]] = {
    # Workers hand in the people: the page need not wait for them.
    "approve": partial(approvals.approve, by_workers=True),
    "reject": approvals.reject,
    "pause": partial(control.pause, reason=_BY_CONSOLE),
    "resume": control.resume,
    "cancel": partial(control.cancel, reason=_BY_CONSOLE),
}
#: State of a send -> the forms that its page offers.
_OFFERED: Final[dict[str, tuple[str, ...]]] = {
    "waiting_for_approval": ("approve", "reject"),
    "scheduled": ("pause", "cancel"),
    "handing_in": ("pause", "cancel"),
    "sending": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
}


class ConsoleSends:
    """The routes of these pages."""

    def __init__(self, layout: ConsoleLayout) -> None:
        """Use this layout and its services."""
        self._layout = layout
        self._services = layout.services

    def routes(self) -> APIRouter:
        """Return the router; each route names the role that it requires."""
        router = APIRouter(include_in_schema=False)
        view, action = self._layout.view_route, self._layout.action_route
        for path, show in (("/sends", self._list), ("/sends/{request:path}", self._show)):
            router.add_api_route(path, view("viewer", show), methods=["GET", "HEAD"], response_class=Response)
        for name in _CHANGES:
            act = partial(self._change, name)
            act.__name__ = name  # type: ignore[attr-defined]
            route = action("operator", act)
            router.add_api_route(f"/sends/{name}", route, methods=["POST"], response_class=Response)
        return router

    def _list(
        self, request: Request, operator: Operator, *, message: str = "", status: int = 200
    ) -> Response:
        rows = control.list_sends(self._services)
        for row in rows:
            row["forms"] = _forms(row, operator)
        over = self._services.settings.approve_sends_over
        values: dict[str, Any] = {"rows": rows, "over": over, "message": message}
        return self._layout.render(request, operator, "sends", "/sends", status=status, **values)

    def _show(self, request: Request, operator: Operator) -> Response:
        try:
            send = control.show_send(self._services, str(request.path_params["request"]))
        except NotFoundError:
            return self._layout.not_found_page(request, operator, "send", "/sends")
        return self._layout.render(
            request, operator, "send", "/sends", send=send, forms=_forms(send, operator)
        )

    def _change(self, name: str, request: Request, operator: Operator, form: Form) -> Response:
        try:
            _CHANGES[name](self._services, form.get("request", ""), actor=operator.actor)
        except UserError as error:
            return self._list(request, operator, message=str(error), status=400)
        return redirect_to("/sends")


def _forms(send: dict[str, Any], operator: Operator) -> list[str]:
    """Return the forms that this operator may use on the send; nobody approves a send of their own."""
    if not operator.may("operator"):
        return []
    is_own = may_be_same_person(send["asked_by"], operator.actor)
    return [name for name in _OFFERED.get(send["state"], ()) if name != "approve" or not is_own]
