"""`nurture messages` and `nurture report`: the ledger and the numbers."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, services

app = typer.Typer(help="The numbers.", no_args_is_help=True)

_COUNTS = ["planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting"]


def messages(
    *,
    contact: Annotated[str | None, typer.Option(help="Only this person's: WHO.")] = None,
    measure: Annotated[str | None, typer.Option(help="Only this measure's.")] = None,
    status: Annotated[str | None, typer.Option(help="Only in this state: waiting, sent, skipped ...")] = None,
    limit: Annotated[int, typer.Option(help="Newest first, so many.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """Show the ledger of mails, newest first.

    Example: nurture messages --contact ada@example.com
    """
    from nurture.app import reports

    with services() as opened:
        rows = reports.messages(opened, who=contact, measure=measure, status=status, limit=limit)
    if as_json:
        output.lines(rows)
    else:
        output.table(
            rows, ["message", "contact", "measure", "step", "key", "status", "reason", "due_at", "sent_at"]
        )


@app.command()
def measures(*, as_json: Json = False) -> None:
    """Show what became of everything planned, per measure; the columns after planned add up to it."""
    from nurture.app import reports

    with services() as opened:
        rows = reports.measures(opened)
    if as_json:
        output.document(rows)
    else:
        output.table(rows, ["measure", *_COUNTS, "skips"])


@app.command()
def stages(*, as_json: Json = False) -> None:
    """Show how many people stand at each stage."""
    from nurture.app import reports

    with services() as opened:
        rows = reports.people(opened)
    if as_json:
        output.document(rows)
    else:
        output.table(rows, ["track", "stage", "people"])


@app.command()
def replies(
    *,
    days: Annotated[int, typer.Option(help="Dialogues opened within so many days.", min=1)] = 30,
    as_json: Json = False,
) -> None:
    """Show how people who answered our mails were answered: how many, how fast, how many late.

    Example: nurture report replies --days 7
    """
    from nurture.app import reports

    with services() as opened:
        rows = reports.replies(opened, days=days)
    if as_json:
        output.document(rows)
    else:
        output.table(rows, list(rows[0]))
