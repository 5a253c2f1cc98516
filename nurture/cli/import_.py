"""`nurture import`: import events, contacts or objects from a file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation


def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header line, or JSON lines.")],
    *,
    format_: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option("--format", help="Format of the file; default: from its ending."),
    ] = None,
    kind: Annotated[
        Literal["events", "contacts", "objects"], typer.Option(help="The kind of row.")
    ] = "events",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="Read COLUMN as FIELD. Repeatable."),
    ] = None,
    event: Annotated[str | None, typer.Option(help="Event name for rows that have none.")] = None,
    historic: Annotated[
        bool, typer.Option("--historic", help="Import as history: update facts, never send mail.")
    ] = False,
    backlog: Annotated[
        Literal["none", "enter"],
        typer.Option(
            help="With --historic, people who match a condition already: none (they enter only after a change), "
            "or enter (at once)."
        ),
    ] = "none",
    as_json: Json = False,
) -> None:
    """Import a file. An interrupted import continues where it stopped. Rejected rows go to FILE.rejected.

    Columns with a meaning: user_id, email, phone, anonymous_id, event, timestamp, message_id; for contacts also
    consent_TOPIC (granted or withdrawn), consent_at, consent_source. All others become properties or traits.

    Example: nurture import orders.csv --historic --map mail=email
    """
    from nurture.app import imports

    options = imports.ImportOptions(
        kind=kind,
        format=format_,
        map=imports.read_map(mapping or []),
        event=event,
        historic=historic,
        backlog=backlog,
    )
    with open_installation() as services:
        outcome = imports.import_file(
            services, file, options, actor=current_actor(), progress=_progress_printer(as_json=as_json)
        )
    if not as_json and sys.stderr.isatty():
        sys.stderr.write("\n")
    if not as_json and outcome.already_done:
        output.print_notice(f"{file} was already imported with these options; nothing was done")
    output.print_result(outcome.document(), as_json=as_json)


def _progress_printer(*, as_json: bool) -> Callable[[int], None]:
    """Return a function that prints the number of rows on a terminal."""

    def print_progress(rows: int) -> None:
        if not as_json and sys.stderr.isatty():
            sys.stderr.write(f"\r{rows} rows")
            sys.stderr.flush()

    return print_progress
