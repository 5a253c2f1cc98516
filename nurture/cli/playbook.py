"""`nurture playbook`: check, compare and publish the programme."""

import sys
from collections.abc import Iterator
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
def check(
    folder: Folder = None,
    *,
    entries: Annotated[
        float | None,
        typer.Option(
            "--entries-per-week",
            metavar="N",
            help="People who enter each measure in a week; default: as the database knows.",
            min=0.1,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a programme and list every fault and warning with its file and line. Exit code 1 when there is a fault.

    Says for each measure with a holdout how many people a verdict about it takes in four of five cases, and in how
    many weeks they enter: at the rate of your database, or at the one that you name
    (then no database is read).

    Example: nurture playbook check programme --entries-per-week 120
    """
    from nurture.app import playbooks
    from nurture.domain.errors import CheckFailed

    faults, warnings = playbooks.check(folder)
    times = [] if faults else playbooks.list_verdict_times(folder, _known(entries), entries_a_week=entries)
    warnings += [time.pop("warning") for time in times if time["warning"]]
    if as_json:
        output.print_json({"faults": faults, "warnings": warnings, "verdict_times": times})
        if faults:
            raise typer.Exit(1)
        return
    for line in (*warnings, *faults):
        sys.stdout.write(f"{line}\n")
    if faults:
        message = f"{len(faults)} faults"
        raise CheckFailed(message)
    sys.stdout.write("no faults\n")
    if times:
        output.print_table([_time(time) for time in times], _TIMES, title="time to a verdict")
        if any(time["people"] is not None and time["weeks"] is None for time in times):
            output.print_text("weeks follow from the rate of entries: name one with --entries-per-week N")


#: Measures that a change names; of more the number.
_CONCERNS_MAX = 6
_TIMES = ["measure", "expect", "held back", "without it", "people", "a week", "weeks", "weeks at 50 %"]


def _known(entries: float | None) -> dict[str, Any]:
    """Return what the database tells of the measures; nothing where there is none, or none is needed."""
    from nurture.app import experiments
    from nurture.domain.errors import SettingsError

    if entries is not None:
        return {}
    try:
        with open_installation() as services:
            return dict(experiments.known_measures(services))
    except SettingsError:
        return {}


def _time(time: dict[str, Any]) -> dict[str, Any]:
    """Return how long a verdict takes in people's units."""
    weeks, at_half = (
        "" if time[name] is None else f"{time[name]:,.0f}" for name in ("weeks", "weeks_at_half")
    )
    return {
        "measure": time["measure"],
        "expect": time["expect"],
        "held back": f"{100 * time['holdout']:g} %",
        "without it": _base(time),
        "people": "not known yet" if time["people"] is None else f"{time['people']:,}",
        "a week": "" if time["entries_a_week"] is None else f"{time['entries_a_week']:.3g}",
        "weeks": weeks,
        "weeks at 50 %": at_half,
    }


def _base(time: dict[str, Any]) -> str:
    if time["base"] is None:
        return "not known yet"
    value = f"{time['base']:.2f}" if time["is_amount"] else f"{100 * time['base']:.3g} %"
    return f"{value} (assumed)" if time["is_assumed"] else value


@app.command()
def show(
    folder: Folder = None,
    *,
    svg: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write pictures into this folder: the programme, each measure's journey."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the measures of a programme, or draw them.

    Example: nurture playbook show programme --svg pictures
    """
    from nurture.app import playbooks

    if svg is not None:
        from nurture.app.pictures import write_pictures

        written = write_pictures(folder, svg)
        output.print_rows(written, ["file", "of"], as_json=as_json, title="pictures written")
        return
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

    _print_changes(playbooks.diff(old, new), as_json=as_json)


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


def _print_changes(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print each difference with what it was and what it becomes, and with the people whom it concerns."""
    if as_json:
        output.print_json(rows)
        return
    if not rows:
        output.print_text("no differences")
    for row in rows:
        output.print_text(f"{row['measure']}: {row['change']}")
        for line in _change_lines(row):
            output.print_text(f"    {line}")


def _change_lines(row: dict[str, Any]) -> Iterator[str]:
    for value in row["values"]:
        yield f"{value['where']}: {value['before'] or '(not there)'} -> {value['after'] or '(gone)'}"
    for words in row["words"]:
        yield f"{words['file']}:"
        yield from (f"    {line}" for line in words["lines"])
    if row["concerns"]:
        shown = ", ".join(row["concerns"][:_CONCERNS_MAX])
        rest = len(row["concerns"]) - _CONCERNS_MAX
        yield f"concerns {shown}" + (f" and {rest} more" if rest > 0 else "")
    if "audience" in row:
        before, after = ("not known" if count is None else f"{count:,}" for count in row["audience"])
        yield f"people in the audience: {before} -> {after}"
    yield from row["effects"]
    if row.get("weeks") is not None:
        yield f"a verdict takes about {row['weeks']:,.0f} weeks"


@app.command()
def rollback(*, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Make the previous programme the active one again. Shows which one that is and what changes, then asks.

    Example: nurture playbook rollback --dry-run
    """
    from nurture.app import playbooks

    with open_installation() as services:
        target = playbooks.rollback_target(services)
        if as_json and dry_run:
            output.print_json(target)
        elif not as_json:
            output.print_fields(
                {name: value for name, value in target.items() if name != "changes"}, title="goes back to"
            )
            _print_changes(target["changes"], as_json=False)
        if dry_run:
            return
        published = f"playbook {target['playbook']}, published {target['published_at']} by {target['actor']}"
        confirm(f"Go back to {published}?", yes=yes)
        done = playbooks.rollback(services, actor=current_actor())
    output.print_result(done, as_json=as_json, title="rolled back")
