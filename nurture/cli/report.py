"""`nurture report`: counts of mails, people and replies."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation

app = typer.Typer(help="Show counts of mails, people and replies.", no_args_is_help=True)

_COUNTS = ["planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting"]


@app.command()
def measures(*, as_json: Json = False) -> None:
    """Count the mails of each measure by state. The columns after `planned` add up to it.

    Example: nurture report measures
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.measures(services)
    output.print_rows(rows, ["measure", *_COUNTS, "skips"], as_json=as_json)


@app.command()
def stages(*, as_json: Json = False) -> None:
    """Count the people at each stage.

    Example: nurture report stages
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.stages(services)
    output.print_rows(rows, ["track", "stage", "people"], as_json=as_json)


@app.command()
def replies(
    *,
    days: Annotated[int, typer.Option(help="Count replies of the last DAYS days.", min=1)] = 30,
    as_json: Json = False,
) -> None:
    """Show how people's replies to our mails were answered: how many, how fast, how many late.

    Example: nurture report replies --days 7
    """
    from nurture.app import reports

    with open_installation() as services:
        rows = reports.replies(services, days=days)
    output.print_rows(rows, list(rows[0]), as_json=as_json)
