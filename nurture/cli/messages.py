"""`nurture messages`: list the ledger of mails, and show one mail as it was sent."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation

app = typer.Typer(invoke_without_command=True)


@app.callback()
def messages(
    context: typer.Context,
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
    """List the mails of the ledger, newest first; `show` one of them.

    Example: nurture messages --contact ada@example.com
    """
    if context.invoked_subcommand is not None:
        return
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.messages(services, who=contact, measure=measure, status=status, limit=limit)
    if as_json:
        output.print_json_lines(rows)
        return
    output.print_table(
        rows, ["message", "contact", "measure", "step", "key", "status", "reason", "due_at", "sent_at"]
    )


@app.command()
def show(
    number: Annotated[str, typer.Argument(metavar="ID", help="The message's number in `nurture messages`.")],
    *,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show one mail as it was sent, made again from its stored values and compared with the hash of that day.

    Links to personal pages are replaced, so that looking at a mail unsubscribes nobody.

    Example: nurture messages show 1204 --html mail.html
    """
    from nurture.app.messages import html_of
    from nurture.app.messages import show as show_message

    with open_installation() as services:
        mail = show_message(services, number)
    if html is not None:
        html.write_text(html_of(mail), encoding="utf-8")
    if as_json:
        output.print_json(mail)
    else:
        _print_mail(mail)
    if html is not None:
        output.print_notice(f"HTML part written to {html}")


def _print_mail(mail: dict[str, Any]) -> None:
    body = ("text", "html", "attempts", "checks")
    output.print_fields(
        {name: value for name, value in mail.items() if name not in body and value is not None}
    )
    output.print_table(
        mail["attempts"],
        ["attempt", "at", "outcome", "stage", "code", "reply"],
        title="attempts",
        empty="none yet",
    )
    output.print_table(mail["checks"], ["name", "passed", "detail"], title="checks", empty="not checked yet")
    if mail["text"] is not None:
        sys.stdout.write(f"\n{mail['text']}\n")
