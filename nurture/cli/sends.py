"""`nurture sends`: approve or reject large sends that need a second operator."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Yes, confirm, current_actor, open_installation

app = typer.Typer(help="Approve or reject large sends.", no_args_is_help=True)
Request = Annotated[str, typer.Argument(help="The send's request id.", metavar="ID")]


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List large sends, those that wait for approval first.

    Example: nurture sends list
    """
    from nurture.app import approvals

    with open_installation() as services:
        rows = approvals.list_requests(services)
    columns = ["request", "measure", "audience", "people", "asked_by", "until", "state", "decided_by"]
    output.print_rows(rows, columns, as_json=as_json, empty="no sends")


@app.command()
def approve(request: Request, *, yes: Yes = False, as_json: Json = False) -> None:
    """Approve a send that another operator requested. It starts at once.

    Example: nurture sends approve 5f0c91aa
    """
    from nurture.app import approvals

    with open_installation() as services:
        pending = next((row for row in approvals.list_requests(services) if row["request"] == request), None)
        if pending is not None and not as_json:
            output.print_fields(pending, title="requested send")
        question = f"Send {pending['measure']} to {pending['people']} people?" if pending else "Approve?"
        confirm(question, yes=yes)
        done = approvals.approve(services, request, actor=current_actor())
    output.print_result(done, as_json=as_json, title="send started")


@app.command()
def reject(request: Request, *, as_json: Json = False) -> None:
    """Reject a send, or withdraw your own.

    Example: nurture sends reject 5f0c91aa
    """
    from nurture.app import approvals

    with open_installation() as services:
        done = approvals.reject(services, request, actor=current_actor())
    output.print_result(done, as_json=as_json)
