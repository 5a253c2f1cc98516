"""`nurture simulate`: run a programme on virtual time, over generated or recorded events."""

from pathlib import Path
from typing import Annotated, Any

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
    from_database: Annotated[
        bool, typer.Option("--from-database", help="Use the events and consents of your database.")
    ] = False,
    objects: Annotated[
        Path | None, typer.Option(help="A file of events about products and other things.")
    ] = None,
    reactions: Annotated[
        Path | None, typer.Option(help="A file that says how made-up people react to mail.")
    ] = None,
    save_reactions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the reactions that ship into this file, and stop."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="A second programme: show the differences in mails and people, and why."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained page with pictures.")
    ] = None,
    locale: Annotated[str, typer.Option(help="The language of the page: en or zh-CN.")] = "en",
    as_json: Json = False,
) -> None:
    """Run the programme on virtual time in a temporary database. No mail is sent and nothing is kept.

    Made-up people react to the mail that they get, or recorded history is played again: --events, --from-database.

    Example: nurture simulate --people 2000 --days 120 --against next/ --html simulation.html
    """
    from nurture.app import simulations
    from nurture.app.option_values import read_day

    if save_reactions is not None:
        simulations.save_reactions(save_reactions)
        output.print_notice(
            f"{save_reactions} written; change it and use it with --reactions {save_reactions}"
        )
        return
    options = simulations.SimulationOptions(
        people=people,
        days=days,
        seed=seed,
        events=events,
        from_database=from_database,
        contacts=contacts,
        objects=objects,
        playbook=playbook,
        start=None if start is None else read_day(start),
        reactions=reactions,
    )
    summary = simulations.simulate(
        options, against=against, page=html, language=locale, progress=progress_printer(as_json=as_json)
    )
    if as_json:
        output.print_json(summary)
    elif against is None:
        print_summary(summary, as_json=False)
    else:
        _print_compared(summary)
    if html is not None and not as_json:
        output.print_notice(f"the page was written to {html}")


def _print_compared(compared: dict[str, Any]) -> None:
    columns = ["measure", "mails", "mails_against", "difference"]
    output.print_table(compared["differences"], columns, title="differences in mails")
    rows = [
        {
            **row,
            "why": "; ".join(f"{part['people']} {part['reason']}" for part in row["reasons"]),
        }
        for row in compared["people"]
    ]
    columns = ["change", "measure", "step", "mails", "people", "why"]
    output.print_table(rows, columns, title="mails that people lose or gain", empty="the same for everybody")
    output.print_text(f"{compared['people_otherwise']:,} people get other mails")
