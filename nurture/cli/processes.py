"""`nurture up`, `api` and `scheduler`: the processes."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.cli import output

if TYPE_CHECKING:
    from nurture.app.services import Services

Port = Annotated[int | None, typer.Option(help="Port of HTTP; default NURTURE_HTTP_PORT.", min=0, max=65_535)]


def up(*, port: Port = None) -> None:
    """Run everything in one process: HTTP, worker, scheduler, SQLite, local mailbox. Stops on Ctrl-C.

    Example: nurture up --port 8025
    """
    from nurture.app.installation import migrate
    from nurture.app.process_lock import only_one
    from nurture.runtime.settings import load_settings

    settings = load_settings(http_port=port)
    with only_one(settings):
        opened = migrate(settings, serves=True)
        try:
            serve_embedded(opened, port=opened.settings.http_port)
        finally:
            opened.close()


def serve_embedded(opened: "Services", *, port: int) -> None:
    """Serve HTTP with the worker and the scheduler beside it, until the process is told to stop."""
    from nurture.runtime.log import start_logging
    from nurture.web.application import create_app
    from nurture.web.server import make_server
    from workers.embedded import Embedded
    from workers.notify import open_bells

    opened = replace(opened, bells=open_bells(opened.settings))
    settings = opened.settings
    start_logging(
        style=settings.log_format, level="warning" if settings.log_format == "auto" else settings.log_level
    )
    work = Embedded(opened)
    server = make_server(create_app(opened), host=settings.http_host, port=port)
    work.start()
    try:
        output.note(
            f"nurture is up: http://{settings.http_host}:{port}/ (mails, people, numbers). Ctrl-C stops it."
        )
        sys.stderr.flush()
        server.run()
    finally:
        work.stop()


def api(*, port: Port = None) -> None:
    """Run the HTTP process of a production installation.

    Example: NURTURE_HTTP_HOST=0.0.0.0 nurture api --port 8025
    """
    from nurture.app.installation import open_existing
    from nurture.runtime import gc_tuning
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings
    from nurture.web.application import create_app
    from nurture.web.server import make_server
    from workers.notify import open_bells

    settings = load_settings(http_port=port)
    start_logging(style=settings.log_format, level=settings.log_level)
    opened = open_existing(settings, bells=open_bells(settings), serves=True, pool_size=10)
    try:
        server = make_server(create_app(opened), host=settings.http_host, port=settings.http_port)
        gc_tuning.settle()
        server.run()
    finally:
        opened.close()


def scheduler() -> None:
    """Run a scheduler; any number may run, each slot is worked once.

    Example: nurture scheduler
    """
    from nurture.app.installation import open_existing
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings
    from workers.notify import open_bells
    from workers.scheduler import run_scheduler

    settings = load_settings()
    start_logging(style=settings.log_format, level=settings.log_level)
    opened = open_existing(settings, bells=open_bells(settings))
    try:
        run_scheduler(opened)
    finally:
        opened.close()
