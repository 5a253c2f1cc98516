"""`nurture audience`: who matches a condition."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, services


def audience(
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="A condition, as in a measure's audience.")
    ],
    *,
    count: Annotated[bool, typer.Option("--count", help="Only the numbers.")] = False,
    sample: Annotated[int, typer.Option(help="Show so many people.", min=0)] = 10,
    as_json: Json = False,
) -> None:
    """Count and show who matches.

    Example: nurture audience 'orders == 1 and silent_days("Order Completed") > 30'
    """
    from nurture.app import audience as ask

    with services() as opened:
        numbers = ask.count(opened, expression)
        people = [] if count else ask.sample(opened, expression, limit=sample)
    if as_json:
        output.document(numbers if count else {**numbers, "sample": people})
        return
    output.pairs(numbers)
    if not count:
        output.table(people, ["contact", "email", "track", "stage"], title="first people")
