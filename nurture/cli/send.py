"""`nurture send`: send a measure to one person or to an audience."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Measure, Yes, confirm, current_actor, open_installation
from nurture.domain.errors import InputError

if TYPE_CHECKING:
    from nurture.app.services import Services
    from nurture.domain.instant import Instant


def send(
    measure: Measure,
    *,
    to: Annotated[
        str | None, typer.Option(help="One person: e-mail address, id:USER_ID or contact:N.")
    ] = None,
    audience: Annotated[str | None, typer.Option(help="Everybody whom this condition matches.")] = None,
    at: Annotated[str | None, typer.Option(help="Earliest send time, e.g. 2026-03-01T09:00:00Z.")] = None,
    request: Annotated[
        str | None, typer.Option(help="Request id. Repeating a request sends nothing twice.")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(help="Send one test mail to this address of yours. It is not counted anywhere."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send a measure to one person or an audience. Every mail passes the guard.

    Shows the count, the audience and the first five people, then asks. To stop it: `nurture cancel MEASURE`.

    Example: nurture send customer/advocate/presale_notice --audience 'orders >= 3' --dry-run
    """
    if test is not None:
        _send_test(measure, address=test, who=to, as_json=as_json)
        return
    if (to is None) == (audience is None):
        raise InputError("name the recipients: either --to WHO or --audience EXPR")
    from nurture.app import sends
    from nurture.app.tracking import read_instant

    earliest = read_instant(at) if at else None
    with open_installation() as services:
        plan = sends.plan(services, measure, who=to, expression=audience)
        large = sends.people_to_approve(services, who=to, expression=audience)
        plan["second_operator"] = large is not None
        if dry_run or not as_json:
            _print_plan(plan, audience, as_json=as_json)
        if dry_run:
            return
        if plan["people"] != 1:
            verb = "Ask a second operator to send" if large is not None else "Send"
            confirm(f"{verb} {measure} to {plan['people']} people?", yes=yes)
        identifier = request or sends.request_id(measure, to or audience or "", services.clock.now())
        if large is not None and not sends.has_started(services, identifier):
            _request_approval(services, measure, audience, identifier, large, earliest, as_json=as_json)
        else:
            _start(services, measure, to, audience, identifier, earliest, as_json=as_json)


def _send_test(measure: str, *, address: str, who: str | None, as_json: bool) -> None:
    from nurture.app import previews

    with open_installation() as services:
        done = previews.send_test(services, measure, to=address, who=who, actor=current_actor())
    output.print_result(done, as_json=as_json, title="test mail sent")


def _request_approval(  # noqa: PLR0917 - one caller, each argument once
    services: "Services",
    measure: str,
    audience: str | None,
    request: str,
    people: int,
    at: "Instant | None",
    *,
    as_json: bool,
) -> None:
    from nurture.app import approvals

    asked = approvals.request_approval(
        services,
        measure,
        expression=audience or "True",
        request=request,
        people=people,
        actor=current_actor(),
        at=at,
    )
    output.print_result(asked, as_json=as_json, title="waiting for a second operator")
    output.print_notice(f"another operator approves it with: nurture sends approve {request}")


def _start(  # noqa: PLR0917 - one caller, each argument once
    services: "Services",
    measure: str,
    who: str | None,
    audience: str | None,
    request: str,
    at: "Instant | None",
    *,
    as_json: bool,
) -> None:
    from nurture.app import sends
    from nurture.runtime import gc_tuning

    gc_tuning.settle()
    done = sends.send(
        services, measure, who=who, expression=audience, request=request, actor=current_actor(), at=at
    )
    output.print_result(done, as_json=as_json, title="send started")


def _print_plan(plan: dict[str, Any], audience: str | None, *, as_json: bool) -> None:
    if as_json:
        output.print_json(plan)
        return
    output.print_fields(
        {
            "measure": plan["measure"],
            "audience": audience or "one person",
            "people": plan["people"],
            "would not enter": plan["not_entering"],
            "second operator": "needed" if plan["second_operator"] else "not needed",
        }
    )
    output.print_table(plan["first"], ["contact", "email", "track", "stage"], title="first people")
