"""`nurture pause`: stop a measure, a lane or all mail."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Switch, current_actor, open_installation


def pause(
    switch: Switch,
    *,
    reason: Annotated[str, typer.Option(help="The reason; shown wherever the pause is shown.")] = "",
    as_json: Json = False,
) -> None:
    """Pause a measure, a lane, a lane's marketing or all mail. Mail that has not passed the send gate waits.

    Example: nurture pause all
    """
    from nurture.app import pauses

    with open_installation() as services:
        done = pauses.set_switch(
            services, switch, paused=True, actor=current_actor(), reason=reason or "paused by ops"
        )
    output.print_result(done, as_json=as_json)
