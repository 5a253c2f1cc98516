"""`nurture audience`: count and list the people a condition matches."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation


def audience(
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="A condition, written as in a measure's audience.")
    ],
    *,
    count: Annotated[bool, typer.Option("--count", help="Print only the counts.")] = False,
    sample: Annotated[int, typer.Option(help="Number of people to list.", min=0)] = 10,
    as_json: Json = False,
) -> None:
    """Count the people whom a condition matches, and list the first of them.

    Example: nurture audience 'orders == 1 and silent_days("Order Completed") > 30'
    """
    from nurture.app import audience as audiences

    with open_installation() as services:
        counts = audiences.count(services, expression)
        people = [] if count else audiences.sample(services, expression, limit=sample)
    if as_json:
        output.print_json(counts if count else {**counts, "sample": people})
        return
    output.print_fields(counts)
    if not count:
        output.print_table(people, ["contact", "email", "track", "stage"], title="first people")
