"""Requests that a person confirms by a second mail: another address, an export of their data, and erasure.

The owner of the old address can object to a change of address at `/object/TOKEN`.

A page below the preference centre sends the mail. Its link leads to `/confirm/TOKEN`, which shows the request and
carries it out on a POST (`domain.consent.requests`). So a forwarded mail cannot change anything for its owner.
"""

import json
from typing import Any, Final

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.app import privacy
from nurture.app.inbound import build_reply_settings
from nurture.app.services import Services
from nurture.consent import from_requests
from nurture.domain.consent.requests import ACTS, REQUEST_EVENT, RequestAct
from nurture.domain.identity import canonical_email
from nurture.domain.measure import OnEvent
from nurture.feedback.replies import open_objection_case
from nurture.web.html import PUBLIC_HEADERS
from nurture.web.pages.page_request import PageContext, invalid_link_page, mask_address, notice_page
from nurture.web.pages.public_dispatch import (
    DeferredResponse,
    Form,
    PublicDispatcher,
    ShowPage,
    SubmitForm,
    with_outcome,
)

#: Act -> the last part of its path below the preference centre.
PATHS: Final[dict[RequestAct, str]] = {"address": "address", "export": "data", "erase": "erase"}


class RequestPages:
    """The pages that make a request, and the part of the confirmation page that carries it out."""

    def __init__(self, dispatcher: PublicDispatcher) -> None:
        """Use this dispatcher's services."""
        self._dispatcher = dispatcher

    def show_route(self, act: RequestAct) -> ShowPage:
        """Return the function that shows an act's page."""
        return lambda _connection, context, _request: self._page(context, act)

    def ask_route(self, act: RequestAct) -> SubmitForm:
        """Return the function that creates the request of an act."""

        def ask(connection: sa.Connection, context: PageContext, form: Form) -> Response:
            return self._ask(connection, context, form, act)

        return ask

    def _page(self, context: PageContext, act: RequestAct, *, fault: str = "", status: int = 200) -> Response:
        if act not in available_acts(context):
            return with_outcome("invalid", invalid_link_page(context.words["lang"]))
        return context.render(
            "request",
            status=status,
            act=act,
            title=context.words[f"{act}_title"],
            lead=context.text(f"{act}_lead"),
            button=context.words[f"{act}_button"],
            fault=fault,
            action=f"/p/{context.token}/{PATHS[act]}",
            back=f"/p/{context.token}",
        )

    def _ask(self, connection: sa.Connection, context: PageContext, form: Form, act: RequestAct) -> Response:
        if act not in available_acts(context) or context.person.email is None:
            return with_outcome("invalid", invalid_link_page(context.words["lang"]))
        if "ask" not in form:
            # This is not our form. A program that posts to every link must not cause a mail.
            return self._page(context, act)
        address = None
        if act == "address":
            address = canonical_email((form.get("email") or [""])[0])
            if address is None or address == context.person.email:
                fault = "address_same" if address else "address_fault"
                return self._page(context, act, fault=context.words[fault], status=422)
        is_stored = from_requests.create_request(
            connection, context.person, act, address=address, message=context.message, now=context.now
        )
        if not is_stored:
            return self._page(context, act, fault=context.words["too_often"], status=429)
        lead = context.text("sent_lead", address=mask_address(address or context.person.email, context.words))
        link = {"href": f"/p/{context.token}", "text": context.words["back"]}
        return context.notice(context.words["sent_title"], lead, link=link)

    # ---- the link in the mail ----------------------------------------------------------------------------

    def show_confirm(self, connection: sa.Connection, context: PageContext) -> Response:
        """Show the effect of the request, with a button to confirm it."""
        request = from_requests.find_request(connection, context.person, context.payload.get("r"))
        if request is None or not from_requests.is_open(request, now=context.now):
            return _expired_page(context)
        act: RequestAct = request.act
        address = mask_address(request.address or context.person.email, context.words)
        return context.render(
            "confirm",
            question=context.text(f"{act}_question", address=address),
            about="",
            lead=context.words[f"{act}_about"],
            button=context.words[f"{act}_confirm"],
            wording="",
            grave=act == "erase",
            action=f"/confirm/{context.token}",
        )

    def confirm(self, connection: sa.Connection, context: PageContext) -> Response:
        """Carry out the request of the link; an expired one changes nothing."""
        request = from_requests.find_request(connection, context.person, context.payload.get("r"))
        if request is None:
            return _expired_page(context)
        if request.act == "address":
            return self._change(connection, context, request)
        if not from_requests.is_open(request, now=context.now):
            return _expired_page(context)
        work = {"export": self._export, "erase": self._erase}[request.act]
        return DeferredResponse(lambda: work(self._dispatcher.services, context))

    def _change(self, connection: sa.Connection, context: PageContext, request: Any) -> Response:
        lead = context.text("changed_lead", address=mask_address(request.address, context.words))
        changed = context.notice(context.words["changed_title"], lead)
        if request.done_at is not None and context.person.email == request.address:
            return changed
        if not from_requests.is_open(request, now=context.now):
            return _expired_page(context)
        if from_requests.is_address_of_another(connection, context.person, request.address):
            return context.notice(context.words["taken_title"], context.words["taken_lead"], status=409)
        from_requests.change_address(connection, context.person, request, now=context.now)
        return changed

    # ---- an objection of the old address -----------------------------------------------------------------

    def show_objection(self, connection: sa.Connection, context: PageContext, _request: Request) -> Response:
        """Show the effect of an objection, with a button to confirm it."""
        request = from_requests.find_request(connection, context.person, context.payload.get("r"))
        if request is None or request.act != "address":
            return _expired_page(context)
        standing = from_requests.objection_standing(request, now=context.now)
        if standing not in ("open", "changed") or request.objected_at is not None:
            return _objection_answer(context, request, standing)
        return context.render(
            "confirm",
            title=context.words["object_title"],
            question=context.text(f"object_{standing}_question", address=_old_address(context, request)),
            about="",
            lead=context.words[f"object_{standing}_lead"],
            button=context.words[f"object_{standing}_button"],
            wording="",
            grave=False,
            action=f"/object/{context.token}",
        )

    def object(self, connection: sa.Connection, context: PageContext, _form: Form) -> Response:
        """Cancel the request; after the change, open a case for our staff. A repetition changes nothing."""
        request = from_requests.find_request(connection, context.person, context.payload.get("r"))
        if request is None or request.act != "address":
            return _expired_page(context)
        standing = from_requests.objection_standing(request, now=context.now)
        if standing in ("open", "changed") and request.objected_at is None:
            stored = from_requests.object_to_change(connection, context.person, request, now=context.now)
            if stored and standing == "changed" and context.loaded is not None:
                open_objection_case(
                    connection,
                    build_reply_settings(self._dispatcher.services, context.loaded),
                    context.person.id,
                    old_address=request.old_address or "",
                    message=context.message,
                    now=context.now,
                )
            return _objected_page(context, request, standing)
        return _objection_answer(context, request, standing)

    @staticmethod
    def _export(services: Services, context: PageContext) -> Response:
        """Return everything stored about the person. It may be repeated while the link is valid."""
        found = privacy.export_contact(services, f"contact:{context.person.id}", actor="self")
        text = json.dumps(found, ensure_ascii=False, indent=2, default=str)
        headers = {**PUBLIC_HEADERS, "Content-Disposition": 'attachment; filename="my-data.json"'}
        return Response(text, media_type="application/json", headers=headers)

    @staticmethod
    def _erase(services: Services, context: PageContext) -> Response:
        privacy.erase_contact(services, f"contact:{context.person.id}", actor="self")
        return context.notice(context.words["erased_title"], context.words["erased_lead"])


def available_acts(context: PageContext) -> tuple[RequestAct, ...]:
    """Return the acts that the programme can confirm: all when it has the confirmation mail, else none."""
    measures = context.loaded.playbook.measures.values() if context.loaded else ()
    triggers = (measure.trigger for measure in measures if measure.to == "new_address")
    there = any(isinstance(trigger, OnEvent) and REQUEST_EVENT in trigger.names for trigger in triggers)
    return tuple(ACTS) if there else ()


def request_links(context: PageContext) -> list[dict[str, str]]:
    """Return the links to the request pages, for the preference centre."""
    return [
        {"href": f"/p/{context.token}/{PATHS[act]}", "text": context.words[f"{act}_link"]}
        for act in available_acts(context)
    ]


def _old_address(context: PageContext, request: Any) -> str:
    return mask_address(request.old_address, context.words)


def _objected_page(context: PageContext, request: Any, standing: from_requests.Standing) -> Response:
    """Return what the objection did: the request was cancelled, or a case was opened."""
    kind = "changed" if standing == "changed" else "open"
    lead = context.text(f"objected_{kind}_lead", address=_old_address(context, request))
    return context.notice(context.words[f"objected_{kind}_title"], lead)


def _objection_answer(context: PageContext, request: Any, standing: from_requests.Standing) -> Response:
    """Return the page of a link that has nothing more to do: it was used, the request ended, or time passed."""
    if request.objected_at is not None:
        return _objected_page(context, request, standing)
    if standing == "unchanged":
        lead = context.text("object_unchanged_lead", address=_old_address(context, request))
        return context.notice(context.words["object_unchanged_title"], lead)
    return with_outcome(
        "expired",
        context.notice(context.words["expired_title"], context.words["object_over_lead"], status=410),
    )


def _expired_page(context: PageContext) -> Response:
    return with_outcome(
        "expired", notice_page("expired", context.words["lang"], brand=context.brand, status=410)
    )
