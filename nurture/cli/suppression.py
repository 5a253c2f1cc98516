"""`nurture suppression`: show why an address or a person gets no mail; add, lift, import and export."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation

app = typer.Typer(help="Show, add, lift, import and export suppressions.", no_args_is_help=True)

Who = Annotated[
    str, typer.Argument(help="An e-mail address (known or not), id:USER_ID or contact:N.", metavar="WHO")
]
_COLUMNS = ["of", "scope", "reason", "because", "since", "source", "way_back"]


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
    reason: Annotated[
        list[str] | None,
        typer.Option(help="Lift exactly this reason (complaint, hard_bounce, ops ...). Repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Mail an address again that bounced or never reacted. Only the person can undo an unsubscribe.

    Example: nurture suppression lift ada@example.com --because "she called: the mailbox was full"
    """
    from nurture.app import suppressions

    with open_installation() as services:
        rows = suppressions.lift_suppressions(
            services,
            who,
            because=because,
            actor=current_actor(),
            person_asked=person_asked,
            reasons=reason or (),
        )
    _print_suppressions(rows, _COLUMNS[:4], as_json=as_json)


@app.command()
def add(
    who: Who,
    *,
    because: Annotated[str, typer.Option(help="Why. Written to the audit log.")],
    scope: Annotated[Literal["marketing", "all"], typer.Option(help="Which mail stops.")] = "marketing",
    as_json: Json = False,
) -> None:
    """Suppress an address, and the person who owns it at every address of theirs.

    Example: nurture suppression add ada@example.com --because "her letter of 3 May"
    """
    from nurture.app import suppressions

    with open_installation() as services:
        rows = suppressions.add(services, who, scope=scope, because=because, actor=current_actor())
    _print_suppressions(rows, _COLUMNS, as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a column `email`, or one address a line.")],
    *,
    scope: Annotated[Literal["marketing", "all"], typer.Option(help="Of rows that name none.")] = "marketing",
    reason: Annotated[
        Literal["unsubscribed", "complaint", "hard_bounce", "ops"],
        typer.Option(help="Of rows that name none."),
    ] = "unsubscribed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring in the suppressions of another tool. Rejected rows go to FILE.rejected; exit 1 when there are any.

    Columns with a meaning: email, scope (all or marketing), reason (its words are recognised), since (when it was
    recorded; also date, created_at ...). Commas, semicolons or tabs; UTF-8 or UTF-16.

    Example: nurture suppression import unsubscribes.csv --dry-run
    """
    from nurture.app.files import suppression_files

    with open_installation() as services:
        counts = suppression_files.import_suppressions(
            services, file, scope=scope, reason=reason, dry_run=dry_run, actor=current_actor()
        )
    output.print_result(counts, as_json=as_json)
    if counts["rejected"]:
        raise typer.Exit(1)


@app.command()
def export(
    *, format_: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="Format.")] = "csv"
) -> None:
    """Write every suppression to standard output. An erased person's address is only known as its hash.

    Example: nurture suppression export > suppressions.csv
    """
    from nurture.app.files import suppression_files

    with open_installation() as services:
        suppression_files.export_suppressions(services, sys.stdout, kind=format_, actor=current_actor())


def _print_suppressions(rows: list[dict[str, object]], columns: list[str], *, as_json: bool) -> None:
    if rows or as_json:
        output.print_rows(rows, columns, as_json=as_json)
    else:
        output.print_notice("this address is not suppressed")
