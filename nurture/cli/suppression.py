"""`nurture suppression`: why an address gets no mail, and the way back."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, actor, services

app = typer.Typer(help="Why an address gets no mail, and the way back.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="An address (known or not), id:USER_ID or contact:N.")]
_COLUMNS = ["scope", "reason", "because", "since", "way_back"]


@app.command()
def show(who: Who, *, as_json: Json = False) -> None:
    """Show what is stopped for an address, why, and how it comes back.

    Example: nurture suppression show ada@example.com
    """
    from nurture.app import suppressions

    with services() as opened:
        rows = suppressions.show(opened, who)
    if as_json:
        output.document(rows)
    elif rows:
        output.table(rows, _COLUMNS)
    else:
        output.note("nothing is stopped for this address")


@app.command()
def lift(
    who: Who,
    *,
    because: Annotated[
        str, typer.Option(help="How you know that mail arrives there; goes to the audit log.")
    ],
    person_asked: Annotated[
        bool,
        typer.Option("--person-asked", help="They asked for mail again themselves; lifts a complaint too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Mail an address again that bounced or never reacted. An unsubscribe is the person's to take back.

    Example: nurture suppression lift ada@example.com --because "she called: the mailbox was full"
    """
    from nurture.app import suppressions

    with services() as opened:
        rows = suppressions.lift_for(opened, who, because=because, actor=actor(), person_asked=person_asked)
    if as_json:
        output.document(rows)
    elif rows:
        output.table(rows, _COLUMNS[:3])
    else:
        output.note("nothing was stopped for this address")
