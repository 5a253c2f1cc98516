"""`nurture quarantine`: events and calls that could not be used."""

from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation
from nurture.domain.errors import CheckFailed, UserError

app = typer.Typer(no_args_is_help=True, help="List what could not be used, hand it in again, or drop it.")

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of items.", metavar="[ITEM]...")]
Stage = Annotated[
    str | None, typer.Option(help="All items of this stage: shape, rule, crash, conflict or too_old.")
]


@app.command("list")
def list_items(
    *,
    stage: Annotated[str | None, typer.Option(help="Only this stage: shape, rule, crash ...")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source: a write key's name, a shop.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List items that could not be used, the newest first, each with its reason.

    Example: nurture quarantine list --stage shape
    """
    from nurture.app import quarantine

    with open_installation() as services:
        rows = quarantine.list_all(services, stage=stage, source=source, limit=limit)
    columns = ["item", "received", "source", "stage", "reason", "contact", "can_retry"]
    output.print_rows(rows, columns, as_json=as_json, empty="empty: every item was used")


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="The item's number.", metavar="ITEM")],
    *,
    as_json: Json = False,
) -> None:
    """Show one item with its text as it was received.

    Example: nurture quarantine show 12
    """
    from nurture.app import quarantine

    with open_installation() as services:
        shown = quarantine.show(services, number)
    output.print_result(shown, as_json=as_json)


@app.command()
def retry(
    numbers: Numbers = None,
    *,
    stage: Stage = None,
    file: Annotated[
        Path | None, typer.Option(help="A corrected call (one JSON object), in place of what was received.")
    ] = None,
    historic: Annotated[
        bool, typer.Option("--historic", help="As events of the past: they make facts and start no mail.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hand items in again, after the cause is mended. An item that still cannot be used stays; the exit code is 1 then.

    Example: nurture quarantine retry 12 --file corrected.json
    """
    from nurture.app import quarantine

    with open_installation() as services:
        results = quarantine.hand_in_again(
            services,
            numbers or [],
            stage=stage,
            corrected=None if file is None else _read(file),
            historic=historic,
            actor=current_actor(),
        )
    output.print_rows(results, ["item", "result", "reason"], as_json=as_json, empty="nothing to retry")
    refused = sum(row["result"] != "handed in" for row in results)
    if refused:
        raise CheckFailed(f"{refused} of {len(results)} items are still refused; they stay in the quarantine")


@app.command()
def drop(
    numbers: Numbers = None,
    *,
    stage: Stage = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete items for good. The numbers are written to the audit log.

    Example: nurture quarantine drop 12 13
    """
    from nurture.app import quarantine

    with open_installation() as services:
        if stage is not None and not yes:
            typer.confirm(f"Delete all items of stage {stage}?", abort=True)
        results = quarantine.drop(services, numbers or [], stage=stage, actor=current_actor())
    output.print_rows(results, ["item", "result"], as_json=as_json, empty="nothing to drop")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
