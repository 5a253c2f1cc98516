"""`nurture pause`: stop a measure, a lane or all mail."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Switch, current_actor, open_installation


def pause(
    switch: Switch,
    *,
    reason: Annotated[str, typer.Option(help="The reason; shown wherever the pause is shown.")] = "",
    entries: Annotated[
        bool, typer.Option("--entries", help="Let nobody enter the measure; whoever is in it finishes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Pause a measure, a lane, a lane's marketing or all mail. Mail that has not passed the send gate waits.

    Example: nurture pause all
    """
    from nurture.app import pauses

    actor, reason = current_actor(), reason or "paused by ops"
    with open_installation() as services:
        if entries:
            done = pauses.set_entries(services, switch, closed=True, actor=actor, reason=reason)
        else:
            done = pauses.set_switch(services, switch, paused=True, actor=actor, reason=reason)
    output.print_result(done, as_json=as_json)
