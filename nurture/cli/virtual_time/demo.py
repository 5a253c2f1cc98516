"""`nurture demo`: simulate people's lives, then show their mails in the console."""

from typing import Annotated

import typer

from nurture.cli.context import Json
from nurture.cli.virtual_time.summary import Days, People, Seed, print_summary, progress_printer


def demo(
    *,
    people: People = 100,
    days: Days = 60,
    seed: Seed = 7,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Print the summary and exit; do not start the console.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the console.", min=0, max=65_535)] = 8025,
    as_json: Json = False,
) -> None:
    """Simulate people in the real pipeline on virtual time, then serve the console with their mails.

    Everything is kept in the folder nurture-demo, which the next demo replaces.

    Example: nurture demo --people 500 --days 90 --no-serve --json
    """
    from nurture.app.demo import DemoOptions, play

    services, summary = play(
        DemoOptions(people=people, days=days, seed=seed), progress=progress_printer(as_json=as_json)
    )
    try:
        print_summary(summary, as_json=as_json)
        if not no_serve:
            from nurture.cli.processes.up import serve_embedded

            serve_embedded(services, port=port)
    finally:
        services.close()
