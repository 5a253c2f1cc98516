"""`nurture track`: record one event."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Who, current_actor, open_installation


def track(
    who: Who,
    event: Annotated[str, typer.Argument(help="The event's name, e.g. 'Order Completed'.")],
    *,
    properties: Annotated[
        list[str] | None, typer.Option("-p", metavar="KEY=VALUE", help="A property. Repeatable.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="When it happened, with its zone, e.g. 2026-03-01T12:00:00Z; default: now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record one event for a person.

    Example: nurture track ada@example.com 'Order Completed' -p order_id=o1 -p revenue=19.90
    """
    from nurture.app import tracking
    from nurture.app.option_values import read_instant
    from nurture.cli.import_ import apply_or_hint

    with open_installation() as services:
        done = tracking.track(
            services,
            who,
            event,
            properties=tracking.read_properties(properties or []),
            at=read_instant(at) if at else None,
            actor=current_actor(),
        )
        apply_or_hint(services)
    output.print_result(done, as_json=as_json, title="event accepted")
