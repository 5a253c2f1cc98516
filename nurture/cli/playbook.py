"""`nurture init` and `nurture playbook`: the programme as files."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Yes, actor, confirm, services

app = typer.Typer(help="The programme: check, show, publish, roll back.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: NURTURE_PLAYBOOK.")]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")], *, as_json: Json = False
) -> None:
    """Copy the shipped programme into a new folder, ready to change.

    Example: nurture init programme
    """
    from nurture.app import playbooks

    done = playbooks.init(folder)
    output.document(done) if as_json else output.pairs(done, title="ready to change")


@app.command()
def check(folder: Folder = None, *, as_json: Json = False) -> None:
    """Check a programme: every fault at once, each with file and line. Exit code 1 when there is one."""
    from nurture.app import playbooks
    from nurture.domain.errors import CheckFailed

    faults = playbooks.check(folder)
    if as_json:
        output.document({"faults": faults})
        if faults:
            raise typer.Exit(1)
        return
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    if faults:
        message = f"{len(faults)} faults"
        raise CheckFailed(message)
    sys.stdout.write("no faults\n")


@app.command()
def show(folder: Folder = None, *, as_json: Json = False) -> None:
    """Show what a programme holds, measure by measure."""
    from nurture.app import playbooks

    rows = playbooks.show(folder)
    if as_json:
        output.document(rows)
    else:
        output.table(rows, ["measure", "purpose", "form", "action", "wakes", "mails", "goal"])


@app.command()
def schema() -> None:
    """Print the JSON Schemas of the files, for editors."""
    from nurture.app import playbooks

    output.document(playbooks.schema())


@app.command()
def diff(old: Path, new: Path, *, as_json: Json = False) -> None:
    """Show what differs between two programmes.

    Example: nurture playbook diff live/ next/
    """
    from nurture.app import playbooks

    rows = playbooks.diff(old, new)
    output.document(rows) if as_json else output.table(rows, ["measure", "change"], empty="no difference")


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    *,
    backlog: Annotated[
        Literal["none", "enter"],
        typer.Option(help="People whom a condition already fits: baseline, or enter."),
    ] = "none",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make a programme the active one. Shows what changes and how many people are in flight, and asks."""
    from nurture.app import playbooks

    with services() as opened:
        rows = playbooks.changes(opened, folder)
        if dry_run:
            output.document(rows) if as_json else _changes(rows)
            return
        if not as_json:
            _changes(rows)
        confirm(f"Publish {folder}?", yes=yes)
        done = playbooks.publish(opened, folder, backlog=backlog, actor=actor())
    output.document(done) if as_json else output.pairs(done, title="published")


def _changes(rows: list[dict[str, object]]) -> None:
    output.table(rows, ["measure", "change", "in_flight", "effects"], title="changes", empty="no difference")


@app.command()
def rollback(*, yes: Yes = False, as_json: Json = False) -> None:
    """Make the programme active again that was before the present one."""
    from nurture.app import playbooks

    with services() as opened:
        confirm("Go back to the programme before?", yes=yes)
        done = playbooks.rollback(opened, actor=actor())
    output.document(done) if as_json else output.pairs(done, title="rolled back")
