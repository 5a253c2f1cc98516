"""`nurture send`: send a measure to one person or to an audience."""

from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Measure, Yes, confirm, current_actor, open_installation
from nurture.domain.errors import InputError


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
    occasion: Annotated[
        str | None, typer.Option(help="Name of the occasion, for a measure that says `once: per occasion`.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="The key that the measure's `once` names. Repeatable."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option(help="Send again to people who had it. Asks, and is kept in the audit log.")
    ] = False,
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

    Nobody gets it twice: a measure that says `once: per occasion` needs --occasion, one about an order or another
    entity needs --set.

    Example: nurture send customer/advocate/presale_notice --occasion spring --audience 'orders >= 3' --dry-run
    """
    if test is not None:
        _send_test(measure, address=test, who=to, as_json=as_json)
        return
    if (to is None) == (audience is None):
        raise InputError("name the recipients: either --to WHO or --audience EXPR")
    from nurture.app import approvals, sends
    from nurture.app.send_options import SendOptions, read_values
    from nurture.app.tracking import read_instant
    from nurture.runtime import gc_tuning

    earliest = read_instant(at) if at else None
    options = SendOptions(occasion or "", again, read_values(set_ or []))
    with open_installation() as services:
        plan = sends.plan(services, measure, who=to, expression=audience, options=options)
        large = sends.people_to_approve(services, who=to, expression=audience)
        plan["second_operator"] = large is not None
        if dry_run or not as_json:
            _print_plan(plan, audience, as_json=as_json)
        if dry_run:
            return
        if plan["people"] != 1 or again:
            verb = "Ask a second operator to send" if large is not None else "Send"
            repeat = " again" if again else ""
            confirm(f"{verb} {measure}{repeat} to {plan['people']} people?", yes=yes)
        identifier = request or sends.request_id(measure, to or audience or "", services.clock.now())
        if large is not None and not sends.has_started(services, identifier):
            asked = approvals.request_approval(
                services,
                measure,
                expression=audience or "True",
                request=identifier,
                people=large,
                actor=current_actor(),
                at=earliest,
                options=options,
            )
            output.print_result(asked, as_json=as_json, title="waiting for a second operator")
            output.print_notice(f"another operator approves it with: nurture sends approve {identifier}")
            return
        gc_tuning.settle()
        done = sends.send(
            services,
            measure,
            who=to,
            expression=audience,
            request=identifier,
            actor=current_actor(),
            at=earliest,
            options=options,
        )
        output.print_result(done, as_json=as_json, title="send started")


def _send_test(measure: str, *, address: str, who: str | None, as_json: bool) -> None:
    from nurture.app import previews

    with open_installation() as services:
        done = previews.send_test(services, measure, to=address, who=who, actor=current_actor())
    output.print_result(done, as_json=as_json, title="test mail sent")


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
