"""`nurture cases`: people whose answers to our mail wait for an answer."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation

app = typer.Typer(no_args_is_help=True, help="List people's answers that wait for us, assign and close them.")

Case = Annotated[str, typer.Argument(help="The case, such as R-12.", metavar="CASE")]


@app.command("list")
def list_cases(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Show closed cases too.")] = False,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Show only cases past their promised time.")
    ] = False,
    owner: Annotated[str | None, typer.Option(help="Show only the cases of this owner.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List open cases, the longest due first. An open case holds all marketing to its person.

    Example: nurture cases list --overdue
    """
    from nurture.app import cases

    with open_installation() as services:
        rows = cases.list_all(services, everything=everything, owner=owner, overdue=overdue, limit=limit)
    columns = [
        "case",
        "state",
        "owner",
        "person",
        "about",
        "opened",
        "due",
        *(["closed"] if everything else []),
    ]
    output.print_rows(rows, columns, as_json=as_json, empty="no case is open")


@app.command()
def show(case: Case, *, as_json: Json = False) -> None:
    """Show one case with its person, the mail that was answered, and what happened last.

    Example: nurture cases show R-12
    """
    from nurture.app import cases

    with open_installation() as services:
        found = cases.show(services, case)
    output.print_result(found, as_json=as_json)


@app.command()
def assign(
    case: Case,
    owner: Annotated[str, typer.Argument(help="An owner of the playbook.")],
    *,
    as_json: Json = False,
) -> None:
    """Give an open case to another owner. Written to the audit log.

    Example: nurture cases assign R-12 mira
    """
    from nurture.app import cases

    with open_installation() as services:
        done = cases.assign(services, case, owner, actor=current_actor())
    output.print_result(done, as_json=as_json)


@app.command()
def close(case: Case, *, as_json: Json = False) -> None:
    """Close a case that was answered elsewhere, by telephone or in a shop. Marketing to its person goes on.

    Example: nurture cases close R-12
    """
    from nurture.app import cases

    with open_installation() as services:
        done = cases.close(services, case, actor=current_actor())
    output.print_result(done, as_json=as_json)
