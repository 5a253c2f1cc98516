"""`nurture values`: publish numbers that are computed elsewhere, and show them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Yes, confirm, current_actor, open_installation

app = typer.Typer(no_args_is_help=True, help="Publish numbers that are computed elsewhere, and show them.")

_EFFECTS = ["value", "version", "rows", "news", "moves", "starts", "ends"]


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Excel or JSON lines: name, key, value.")],
    *,
    name: Annotated[str | None, typer.Option(help="The value of rows that name none.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Publish numbers as a new version: people whose band changes are told, at a bounded rate. Audited.

    A row is a number of a value of the playbook: key is a person (an e-mail address, id:USER_ID or contact:N), or the
    category, product or piece; an empty number takes the one before back. Shows first who changes and what starts, then
    asks. Exit 1 when rows were refused.

    Example: nurture values publish churn.csv --name churn_risk --dry-run
    """
    from nurture.app.values import publish as values

    with open_installation() as services:
        numbers = values.read(services, file, name=name)
        if dry_run or not as_json:
            seen = values.preview(services, numbers.copy(), progress=output.people_printer(as_json=as_json))
            _print_rows(seen, as_json=as_json)
        if not dry_run:
            confirm(f"Publish {file}?", yes=yes)
            done = values.publish(
                services, numbers, actor=current_actor(), progress=output.people_printer(as_json=as_json)
            )
            output.print_result(done, as_json=as_json, title="published")
            seen = done
    if seen["rejected"]:
        raise typer.Exit(1)


def _print_rows(seen: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(seen)
        return
    output.print_table(seen["values"], _EFFECTS, title="changes")
    for line in seen["refused"]:
        output.print_notice(line)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A value of the playbook.")] = None,
    *,
    key: Annotated[
        str | None, typer.Option(help="One key, or one person (WHO) of a value of contacts.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the published values with their versions, or one of them with its numbers.

    Example: nurture values show churn_risk --key ada@example.com
    """
    from nurture.app.values import show as values

    with open_installation() as services:
        if name is None:
            rows = values.show_all(services)
            columns = ["value", "of", "version", "published", "numbers", "news", "by", "late"]
            output.print_rows(rows, columns, as_json=as_json, empty="the active playbook has no values")
            return
        found = values.show(services, name, key=key)
    output.print_result(found, as_json=as_json)
