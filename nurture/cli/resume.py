"""`nurture resume`: end a pause, or the stop after a restored backup."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Switch, Yes, confirm, current_actor, open_installation


def resume(
    switch: Switch,
    *,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="Read this machine's delivery journals, then end the stop after a restored backup.",
        ),
    ] = False,
    entries: Annotated[
        bool, typer.Option("--entries", help="Let people enter the measure again; another pause of it stays.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Resume a measure, a lane or all mail. Messages past their valid_for expire.

    A measure that a verdict stopped or sent back begins a new trial.

    Example: nurture resume all
    """
    from nurture.app import pauses

    if after_restore:
        _confirm_unread_journals(yes=yes)
    actor = current_actor()
    with open_installation() as services:
        if entries:
            done = pauses.set_entries(services, switch, closed=False, actor=actor, reason="")
        else:
            done = pauses.set_switch(
                services, switch, paused=False, actor=actor, reason="", after_restore=after_restore
            )
    output.print_result(done, as_json=as_json)


def _confirm_unread_journals(*, yes: bool) -> None:
    """Ask before resuming without the journals of other machines: they may know of mails that were sent."""
    from nurture.app import journals

    with open_installation() as services:
        unread = journals.find_unread(services)
    if unread:
        hosts = ", ".join(sorted({name.split(".")[0] for name in unread}))
        question = (
            f"The delivery journals of {len(unread)} workers on {hosts} have not been read. Start a worker there "
            "first, or mails that were sent from there may be sent again. Resume without them?"
        )
        confirm(question, yes=yes)
