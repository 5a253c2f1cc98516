"""`nurture playbook`: check, compare and publish the programme."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Yes, confirm, current_actor, open_installation

app = typer.Typer(help="Check, compare, publish and roll back the programme.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="The programme's folder; default NURTURE_PLAYBOOK.")
]


@app.command()
def check(folder: Folder = None, *, as_json: Json = False) -> None:
    """Check a programme and list every fault and warning with its file and line. Exit code 1 when there is a fault.

    Example: nurture playbook check programme
    """
    from nurture.app import playbooks
    from nurture.domain.errors import CheckFailed

    faults, warnings = playbooks.check(folder)
    if as_json:
        output.print_json({"faults": faults, "warnings": warnings})
        if faults:
            raise typer.Exit(1)
        return
    for line in (*warnings, *faults):
        sys.stdout.write(f"{line}\n")
    if faults:
        message = f"{len(faults)} faults"
        raise CheckFailed(message)
    sys.stdout.write("no faults\n")


@app.command()
def show(folder: Folder = None, *, as_json: Json = False) -> None:
    """List the measures of a programme.

    Example: nurture playbook show
    """
    from nurture.app import playbooks

    rows = playbooks.show(folder)
    columns = ["measure", "purpose", "form", "action", "wakes", "mails", "goal"]
    output.print_rows(rows, columns, as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schemas of the programme's files, for editors.

    Example: nurture playbook schema > schemas.json
    """
    from nurture.app import playbooks

    output.print_json(playbooks.schema())


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The programme's folder before the change.")],
    new: Annotated[Path, typer.Argument(help="The programme's folder after the change.")],
    *,
    as_json: Json = False,
) -> None:
    """Show the differences between two programmes.

    Example: nurture playbook diff live/ next/
    """
    from nurture.app import playbooks

    rows = playbooks.diff(old, new)
    output.print_rows(rows, ["measure", "change"], as_json=as_json, empty="no differences")


@app.command()
def coverage(folder: Folder = None, *, as_json: Json = False) -> None:
    """Show which measures serve each stage, touchpoint, topic and trigger, and where none does.

    Example: nurture playbook coverage programme
    """
    from nurture.app.coverage import coverage as coverage_of

    found = coverage_of(folder)
    if as_json:
        output.print_json(found)
        return
    for name, (title, columns) in _COVERAGE.items():
        output.print_table(found[name], columns, title=title)


@app.command()
def upgrade(
    folder: Folder = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Change the files; without it they are only compared.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a programme's old forms as they are written today, as a diff. Comments and layout stay.

    Exit code 1 when a form is left that a person has to write anew.

    Example: nurture playbook upgrade programme --write
    """
    from nurture.app import playbooks
    from nurture.domain.errors import CheckFailed

    done = playbooks.upgrade(folder, write=write)
    if as_json:
        output.print_json(done)
    else:
        sys.stdout.write(done["diff"])
        for form in done["left"]:
            sys.stdout.write("{path}:{line}: {what}: {change}\n".format_map(form))
        sys.stdout.write(f"{_upgrade_summary(done)}\n")
    if done["left"]:
        if as_json:
            raise typer.Exit(1)
        message = f"{len(done['left'])} old forms to write by hand"
        raise CheckFailed(message)


def _upgrade_summary(done: dict[str, Any]) -> str:
    count = len(done["rewritten"])
    if not count:
        return "no old forms to rewrite"
    forms = "1 old form" if count == 1 else f"{count} old forms"
    return f"{forms} rewritten" if done["is_written"] else f"{forms} to rewrite; --write changes the files"


#: Part of the coverage -> its title and columns.
_COVERAGE: dict[str, tuple[str, list[str]]] = {
    "stages": ("stages", ["track", "stage", "measure", "personas", "kind", "action", "early"]),
    "touchpoints": ("touchpoints", ["touchpoint", "channel", "stage", "is_wanted", "measure", "reason"]),
    "topics": ("topics", ["topic", "track", "measures"]),
    "one_track_only": ("triggers with a measure on one track", ["measure", "reason"]),
    "starved": ("mails that can never leave", ["measure", "line", "reason", "change"]),
    "events_without_touchpoint": ("events in no touchpoint", ["event", "used_by"]),
}


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The programme's folder.")],
    *,
    backlog: Annotated[
        Literal["none", "enter"],
        typer.Option(
            help="People who match a condition already: none (they enter only after a change), or enter (at once)."
        ),
    ] = "none",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make a programme the active one. Shows the changes and the people in flight, then asks.

    Example: nurture playbook publish programme --dry-run
    """
    from nurture.app import playbooks

    with open_installation() as services:
        rows = playbooks.changes(services, folder)
        if dry_run or not as_json:
            _print_changes(rows, as_json=as_json)
        if dry_run:
            return
        confirm(f"Publish {folder}?", yes=yes)
        done = playbooks.publish(services, folder, backlog=backlog, actor=current_actor())
    output.print_result(done, as_json=as_json, title="published")


def _print_changes(rows: list[dict[str, object]], *, as_json: bool) -> None:
    columns = ["measure", "change", "in_flight", "effects"]
    output.print_rows(rows, columns, as_json=as_json, title="changes", empty="no differences")


@app.command()
def rollback(*, yes: Yes = False, as_json: Json = False) -> None:
    """Make the previous programme the active one again.

    Example: nurture playbook rollback
    """
    from nurture.app import playbooks

    with open_installation() as services:
        confirm("Go back to the previous programme?", yes=yes)
        done = playbooks.rollback(services, actor=current_actor())
    output.print_result(done, as_json=as_json, title="rolled back")
