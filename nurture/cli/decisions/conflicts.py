"""`nurture conflicts`: contacts that may be one person, and events that were set aside."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation

app = typer.Typer(no_args_is_help=True, help="List conflicts of identity, and decide them.")

Number = Annotated[int, typer.Argument(help="The conflict's number.", metavar="ID")]


@app.command("list")
def list_conflicts(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Show decided conflicts too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List conflicts: evidence that does not prove that two contacts are one person, and events set aside.

    Example: nurture conflicts list
    """
    from nurture.app import conflicts

    with open_installation() as services:
        rows = conflicts.list_all(services, decided=everything, limit=limit)
    columns = ["id", "state", "kind", "contact", "other", "what", "event", "source", "at"]
    output.print_rows(rows, columns, as_json=as_json)


@app.command()
def show(number: Number, *, as_json: Json = False) -> None:
    """Show one conflict with its evidence.

    Example: nurture conflicts show 7
    """
    from nurture.app import conflicts

    with open_installation() as services:
        found = conflicts.show(services, number)
    output.print_result(found, as_json=as_json)


@app.command()
def decide(
    number: Number,
    *,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge/--separate",
            help="--merge: the two contacts are one person; an event that was set aside is applied. "
            "--separate: they are two people; the event is dropped.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Decide a conflict. The decision is written to the audit log; `nurture contact unmerge` undoes a merge.

    Example: nurture conflicts decide 7 --separate
    """
    from nurture.app import conflicts

    with open_installation() as services:
        done = conflicts.decide(services, number, merge=merge, actor=current_actor())
    output.print_result(done, as_json=as_json)
