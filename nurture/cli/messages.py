"""`nurture messages`: list the ledger of mails."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation


def messages(
    *,
    contact: Annotated[
        str | None,
        typer.Option(help="Only this person's mails: e-mail address, id:USER_ID or contact:N."),
    ] = None,
    measure: Annotated[str | None, typer.Option(help="Only this measure's mails.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only mails in this state: waiting, sent, skipped ...")
    ] = None,
    limit: Annotated[int, typer.Option(help="Number of mails to list.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List the mails of the ledger, newest first.

    Example: nurture messages --contact ada@example.com
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.messages(services, who=contact, measure=measure, status=status, limit=limit)
    if as_json:
        output.print_json_lines(rows)
        return
    output.print_table(
        rows, ["message", "contact", "measure", "step", "key", "status", "reason", "due_at", "sent_at"]
    )
