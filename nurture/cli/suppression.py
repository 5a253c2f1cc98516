"""`nurture suppression`: show why an address gets no mail, and lift what an operator may lift."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation

app = typer.Typer(help="Show and lift suppressions of addresses.", no_args_is_help=True)

Who = Annotated[
    str, typer.Argument(help="An e-mail address (known or not), id:USER_ID or contact:N.", metavar="WHO")
]
_COLUMNS = ["scope", "reason", "because", "since", "way_back"]


@app.command()
def show(who: Who, *, as_json: Json = False) -> None:
    """Show the suppressions of an address: scope, reason, and how each can be lifted.

    Example: nurture suppression show ada@example.com
    """
    from nurture.app import suppressions

    with open_installation() as services:
        rows = suppressions.show(services, who)
    _print_suppressions(rows, _COLUMNS, as_json=as_json)


@app.command()
def lift(
    who: Who,
    *,
    because: Annotated[
        str, typer.Option(help="How you know that the address works. Written to the audit log.")
    ],
    person_asked: Annotated[
        bool,
        typer.Option("--person-asked", help="The person asked for mail again; lifts a complaint too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Mail an address again that bounced or never reacted. Only the person can undo an unsubscribe.

    Example: nurture suppression lift ada@example.com --because "she called: the mailbox was full"
    """
    from nurture.app import suppressions

    with open_installation() as services:
        rows = suppressions.lift_suppressions(
            services, who, because=because, actor=current_actor(), person_asked=person_asked
        )
    _print_suppressions(rows, _COLUMNS[:3], as_json=as_json)


def _print_suppressions(rows: list[dict[str, object]], columns: list[str], *, as_json: bool) -> None:
    if rows or as_json:
        output.print_rows(rows, columns, as_json=as_json)
    else:
        output.print_notice("this address is not suppressed")
