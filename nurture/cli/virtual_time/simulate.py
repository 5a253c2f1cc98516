"""`nurture simulate`: run a programme on virtual time, over generated or recorded events."""

from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json
from nurture.cli.virtual_time.summary import Days, People, Seed, print_summary, progress_printer


def simulate(
    *,
    people: People = 1_000,
    days: Days = 90,
    seed: Seed = 7,
    events: Annotated[
        Path | None, typer.Option(help="Use recorded events: a CSV or JSON-lines file.")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="With --events: a file of contacts and their consents.")
    ] = None,
    playbook: Annotated[
        Path | None, typer.Option(help="The programme to run; default NURTURE_PLAYBOOK.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day, e.g. 2026-11-01; default: today.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="A second programme: show the differences in mails.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the programme on virtual time in a temporary database. No mail is sent and nothing is kept.

    Example: nurture simulate --people 2000 --days 120 --against next/
    """
    from nurture.app import simulate as simulation
    from nurture.app.option_values import read_day

    options = simulation.SimulationOptions(
        people=people,
        days=days,
        seed=seed,
        events=events,
        contacts=contacts,
        playbook=playbook,
        start=None if start is None else read_day(start),
    )
    progress = progress_printer(as_json=as_json)
    if against is None:
        print_summary(simulation.run(options, progress=progress), as_json=as_json)
        return
    compared = simulation.compare(options, against, progress=progress)
    if as_json:
        output.print_json(compared)
        return
    columns = ["measure", "mails", "mails_against", "difference"]
    output.print_table(compared["differences"], columns, title="differences in mails")
