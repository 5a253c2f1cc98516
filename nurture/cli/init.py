"""`nurture init`: copy the programme that ships with nurture."""

from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    *,
    as_json: Json = False,
) -> None:
    """Copy the programme that ships with nurture into a new folder, for you to change.

    Example: nurture init programme
    """
    from nurture.app import playbooks

    done = playbooks.init(folder)
    output.print_result(done, as_json=as_json, title="programme copied")
