"""`nurture worker`: the process that applies events and sends mail in a production installation."""

from typing import Annotated

import typer

from nurture.cli.context import load_workers


def worker(
    *,
    concurrency: Annotated[
        int | None, typer.Option(help="Processes that work at the same time; default: one per core.", min=1)
    ] = None,
    queues: Annotated[str, typer.Option(help="Queues to work on, separated by commas; empty: all.")] = "",
) -> None:
    """Run a worker: Celery with the options of this project. Any number may run; TERM stops it.

    The same as `celery -A workers worker` with every queue of the project.

    Example: nurture worker --concurrency 4
    """
    from nurture.runtime.settings import load_settings

    load_settings()
    names = queues or ",".join(load_workers("queues").NAMES)
    options = ["--queues", names, *(["--concurrency", str(concurrency)] if concurrency else [])]
    raise typer.Exit(load_workers("application").run_worker(options))
