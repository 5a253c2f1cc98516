"""`nurture export`: export contacts, events or messages."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation


def export(
    noun: Annotated[Literal["contacts", "events", "messages"], typer.Argument(help="The rows to export.")],
    *,
    audience: Annotated[str | None, typer.Option(help="Only people whom this condition matches.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
    format_: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="CSV or JSON lines.")] = "csv",
    as_json: Json = False,
) -> None:
    """Export contacts, events or messages as CSV or JSON lines.

    Example: nurture export contacts --audience 'orders >= 2' --out good.csv
    """
    from nurture.app import exports

    kind = "jsonl" if as_json else format_
    with open_installation() as services:
        if out is None:
            exports.export(services, noun, sys.stdout, expression=audience, kind=kind, actor=current_actor())
            return
        with out.open("w", encoding="utf-8", newline="") as stream:
            written = exports.export(
                services, noun, stream, expression=audience, kind=kind, actor=current_actor()
            )
    output.print_notice(f"{written} {noun} written to {out}")
