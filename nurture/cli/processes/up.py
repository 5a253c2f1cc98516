"""`nurture up`: the whole engine in one process."""

import sys
from typing import TYPE_CHECKING

from nurture.cli import output
from nurture.cli.context import Port, load_workers

if TYPE_CHECKING:
    from nurture.app.services import Services


def up(*, port: Port = None) -> None:
    """Run everything in one process: HTTP, worker, scheduler, SQLite and a local mailbox. Ctrl-C stops it.

    Example: nurture up --port 8025
    """
    from nurture.app.installation import migrate
    from nurture.app.process_lock import hold_installation_lock
    from nurture.runtime.settings import load_settings

    settings = load_settings(http_port=port)
    with hold_installation_lock(settings):
        services = migrate(settings, serves=True)
        try:
            serve_embedded(services, port=services.settings.http_port)
        finally:
            services.close()


def serve_embedded(services: "Services", *, port: int) -> None:
    """Run HTTP, a worker and a scheduler in this process until it gets INT or TERM."""
    from nurture.runtime.log import start_logging
    from nurture.web.application import create_app
    from nurture.web.server import make_server, run_until_stopped

    services = services.notifying(load_workers("notify").open_notifier(services.settings))
    settings = services.settings
    start_logging(
        style=settings.log_format, level="warning" if settings.log_format == "auto" else settings.log_level
    )
    embedded = load_workers("embedded").Embedded(services)
    server = make_server(create_app(services), host=settings.http_host, port=port)
    embedded.start()
    try:
        output.print_notice(
            f"nurture is running: http://{settings.http_host}:{port}/ shows mails, people and counts. Ctrl-C stops it."
        )
        sys.stderr.flush()
        run_until_stopped(server)
    finally:
        embedded.stop()
