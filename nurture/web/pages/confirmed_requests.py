"""What takes a step of its own and a second mail: another address, all my data, forget me.

Under the preference centre somebody asks; the link in the mail that follows leads to `/confirm/TOKEN`, which
shows what will be done and does it on a POST (`domain.consent.requests`). So a forwarded mail harms nobody.
"""

import json
from typing import Any, Final

import sqlalchemy as sa
from fastapi import Response

from nurture.app import privacy
from nurture.app.services import Services
from nurture.consent import from_requests
from nurture.domain.consent.requests import ACTS, REQUEST_EVENT, RequestAct
from nurture.domain.identity import canonical_email
from nurture.domain.measure import OnEvent
from nurture.web.html import PUBLIC_HEADERS
from nurture.web.pages.page_request import Visit, mask, nowhere, plain
from nurture.web.pages.public_dispatch import Act, Form, Gate, Later, Show, marked

#: act -> the last part of its path under the preference centre.
PATHS: Final[dict[RequestAct, str]] = {"address": "address", "export": "data", "erase": "erase"}


class StepPages:
    """The pages on which somebody asks, and what the confirmation page does for them."""

    def __init__(self, gate: Gate) -> None:
        """Keep the way in."""
        self._gate = gate
        self._key = gate.services.settings.suppression_secret

    def shower(self, act: RequestAct) -> Show:
        """Return what shows the page of an act."""
        return lambda _connection, visit, _request: self._page(visit, act)

    def asker(self, act: RequestAct) -> Act:
        """Return what asks for an act."""

        def ask(connection: sa.Connection, visit: Visit, form: Form) -> Response:
            return self._ask(connection, visit, form, act)

        return ask

    def _page(self, visit: Visit, act: RequestAct, *, fault: str = "", status: int = 200) -> Response:
        if act not in offered(visit):
            return marked("invalid", nowhere(visit.words["lang"]))
        return visit.page(
            "step",
            status=status,
            act=act,
            title=visit.words[f"{act}_title"],
            lead=visit.say(f"{act}_lead"),
            button=visit.words[f"{act}_button"],
            fault=fault,
            action=f"/p/{visit.token}/{PATHS[act]}",
            back=f"/p/{visit.token}",
        )

    def _ask(self, connection: sa.Connection, visit: Visit, form: Form, act: RequestAct) -> Response:
        if act not in offered(visit) or visit.person.email is None:
            return marked("invalid", nowhere(visit.words["lang"]))
        if "ask" not in form:
            # Not our form: nobody is mailed because a program posts to every link.
            return self._page(visit, act)
        address = None
        if act == "address":
            address = canonical_email((form.get("email") or [""])[0])
            if address is None or address == visit.person.email:
                fault = "address_same" if address else "address_fault"
                return self._page(visit, act, fault=visit.words[fault], status=422)
        is_stored = from_requests.create_request(
            connection, visit.person, act, address=address, message=visit.message, now=visit.now
        )
        if not is_stored:
            return self._page(visit, act, fault=visit.words["too_often"], status=429)
        lead = visit.say("sent_lead", address=mask(address or visit.person.email, visit.words))
        link = {"href": f"/p/{visit.token}", "text": visit.words["back"]}
        return visit.notice(visit.words["sent_title"], lead, link=link)

    # ---- the link in the mail ----------------------------------------------------------------------------

    def show_confirm(self, connection: sa.Connection, visit: Visit) -> Response:
        """Show what the request will do."""
        request = from_requests.find_request(connection, visit.person, visit.payload.get("r"))
        if request is None or not from_requests.is_open(request, now=visit.now):
            return _over(visit)
        act: RequestAct = request.act
        address = mask(request.address or visit.person.email, visit.words)
        return visit.page(
            "confirm",
            question=visit.say(f"{act}_question", address=address),
            about="",
            lead=visit.words[f"{act}_about"],
            button=visit.words[f"{act}_confirm"],
            wording="",
            grave=act == "erase",
            action=f"/confirm/{visit.token}",
        )

    def confirm(self, connection: sa.Connection, visit: Visit) -> Response:
        """Do what was asked for."""
        request = from_requests.find_request(connection, visit.person, visit.payload.get("r"))
        if request is None:
            return _over(visit)
        if request.act == "address":
            return self._change(connection, visit, request)
        if not from_requests.is_open(request, now=visit.now):
            return _over(visit)
        work = {"export": self._export, "erase": self._erase}[request.act]
        return Later(lambda: work(self._gate.services, visit))

    def _change(self, connection: sa.Connection, visit: Visit, request: Any) -> Response:
        lead = visit.say("changed_lead", address=mask(request.address, visit.words))
        changed = visit.notice(visit.words["changed_title"], lead)
        if request.done_at is not None and visit.person.email == request.address:
            return changed
        if not from_requests.is_open(request, now=visit.now):
            return _over(visit)
        if from_requests.is_address_of_another(connection, visit.person, request.address):
            return visit.notice(visit.words["taken_title"], visit.words["taken_lead"], status=409)
        from_requests.change_address(
            connection, visit.person, request, now=visit.now, suppression_key=self._key
        )
        return changed

    @staticmethod
    def _export(services: Services, visit: Visit) -> Response:
        """Hand out everything, as often as it is asked for while the link is good: a download may break off."""
        found = privacy.export_contact(services, f"contact:{visit.person.id}", actor="self")
        text = json.dumps(found, ensure_ascii=False, indent=2, default=str)
        headers = {**PUBLIC_HEADERS, "Content-Disposition": 'attachment; filename="my-data.json"'}
        return Response(text, media_type="application/json", headers=headers)

    @staticmethod
    def _erase(services: Services, visit: Visit) -> Response:
        privacy.erase_contact(services, f"contact:{visit.person.id}", actor="self")
        return visit.notice(visit.words["erased_title"], visit.words["erased_lead"])


def offered(visit: Visit) -> tuple[RequestAct, ...]:
    """Return what may be asked for: all, where the programme has the mail that confirms it, else nothing."""
    measures = visit.loaded.playbook.measures.values() if visit.loaded else ()
    triggers = (measure.trigger for measure in measures if measure.to == "new_address")
    there = any(isinstance(trigger, OnEvent) and REQUEST_EVENT in trigger.names for trigger in triggers)
    return tuple(ACTS) if there else ()


def step_links(visit: Visit) -> list[dict[str, str]]:
    """Return the links from the preference centre."""
    return [
        {"href": f"/p/{visit.token}/{PATHS[act]}", "text": visit.words[f"{act}_link"]}
        for act in offered(visit)
    ]


def _over(visit: Visit) -> Response:
    return marked("expired", plain("expired", visit.words["lang"], brand=visit.brand, status=410))
