"""`nurture export`: export contacts, events or messages."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation


def export(
    noun: Annotated[
        Literal["contacts", "events", "messages", "suppressions"],
        typer.Argument(help="The rows to export."),
    ],
    *,
    audience: Annotated[str | None, typer.Option(help="Only people whom this condition matches.")] = None,
    facts: Annotated[
        str | None, typer.Option(help="Facts of contacts, separated by commas, as further columns.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
    format_: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="CSV or JSON lines.")] = "csv",
    as_json: Json = False,
) -> None:
    """Export contacts, events, messages or suppressions as CSV or JSON lines.

    Contacts have their names, track, stage, consent per topic with time and source, suppressions, and the facts that
    you choose, in people's units. No cell is read as a formula by a spreadsheet.

    Example: nurture export contacts --audience 'orders >= 2' --facts spent,last_order_at --out good.csv
    """
    from nurture.app.files import exports

    write = partial(
        exports.export,
        noun=noun,
        expression=audience,
        kind="jsonl" if as_json else format_,
        actor=current_actor(),
        facts=[name.strip() for name in facts.split(",") if name.strip()] if facts else [],
    )
    with open_installation() as services:
        if out is None:
            write(services, stream=sys.stdout)
            return
        with out.open("w", encoding="utf-8", newline="") as stream:
            written = write(services, stream=stream)
    output.print_notice(f"{written} {noun} written to {out}")
