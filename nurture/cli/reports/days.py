"""The options of reports about some days."""

from typing import Annotated

import typer

_DAY = "YYYY-MM-DD"
Since = Annotated[
    str | None, typer.Option("--from", metavar=_DAY, help="The first day, in the brand's time zone.")
]
Until = Annotated[
    str | None, typer.Option("--to", metavar=_DAY, help="The last day, in the brand's time zone.")
]
