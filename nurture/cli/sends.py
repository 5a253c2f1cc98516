"""`nurture sends`: large sends that wait for a second operator."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Yes, actor, confirm, services

app = typer.Typer(help="Large sends that wait for a second operator.", no_args_is_help=True)
Request = Annotated[str, typer.Argument(help="The send's request id.", metavar="ID")]


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the sends asked for, those that wait first.

    Example: nurture sends list
    """
    from nurture.app import approvals

    with services() as opened:
        rows = approvals.waiting(opened)
    columns = ["request", "measure", "audience", "people", "asked_by", "until", "state", "decided_by"]
    output.document(rows) if as_json else output.table(rows, columns, empty="no send waits")


@app.command()
def approve(request: Request, *, yes: Yes = False, as_json: Json = False) -> None:
    """Approve a send that somebody else asked for; it begins at once.

    Example: nurture sends approve 5f0c91aa
    """
    from nurture.app import approvals

    with services() as opened:
        asked = next((row for row in approvals.waiting(opened) if row["request"] == request), None)
        if asked is not None and not as_json:
            output.pairs(asked, title="asked for")
        confirm(f"Send {asked['measure']} to {asked['people']} people?" if asked else "Approve?", yes=yes)
        done = approvals.approve(opened, request, actor=actor())
    output.document(done) if as_json else output.pairs(done, title="handed in")


@app.command()
def reject(request: Request, *, as_json: Json = False) -> None:
    """Reject a send, or take back one's own.

    Example: nurture sends reject 5f0c91aa
    """
    from nurture.app import approvals

    with services() as opened:
        done = approvals.reject(opened, request, actor=actor())
    output.document(done) if as_json else output.pairs(done)
