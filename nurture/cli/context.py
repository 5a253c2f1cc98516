"""What the commands share: common options, the opened installation, the audit actor, and the confirmation."""

import os
import pwd
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.domain.errors import UserError

if TYPE_CHECKING:
    from nurture.app.services import Services
    from nurture.database.notifications import Notification
    from nurture.runtime.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and change nothing.")]
Who = Annotated[str, typer.Argument(help="An e-mail address, id:USER_ID or contact:N.", metavar="WHO")]
Measure = Annotated[str, typer.Argument(help="A measure's path, e.g. customer/advocate/presale_notice.")]
Port = Annotated[int | None, typer.Option(help="HTTP port; default NURTURE_HTTP_PORT.", min=0, max=65_535)]
Switch = Annotated[str, typer.Argument(help="A measure's path, a lane's name, or all.")]


@contextmanager
def open_installation() -> Iterator["Services"]:
    """Open the existing installation and close it afterwards. Raises SettingsError when there is none."""
    from nurture.app.installation import open_existing
    from nurture.runtime.settings import load_settings

    settings = load_settings()
    services = open_existing(settings, notifier=_LazyNotifier(settings))
    try:
        yield services
    finally:
        services.close()


class _LazyNotifier:
    """Loads Celery at the first notification: most commands notify nobody, and loading takes half a second."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def notify(self, notifications: Collection["Notification"]) -> None:
        """Notify workers of the queues; an embedded engine is another process and looks by itself."""
        if not self._settings.broker_url.startswith("memory:"):
            from workers.notify import open_notifier

            open_notifier(self._settings).notify(notifications)


def current_actor() -> str:
    """Return the actor for the audit log: the operating system's user, not what an environment variable says."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def confirm(question: str, *, yes: bool) -> None:
    """Return only after a yes; a no exits with code 1. Raises UserError without a terminal to ask on."""
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"{question} There is no terminal to answer on; add --yes to confirm"
        raise UserError(message)
    if not typer.confirm(question):
        raise typer.Exit(1)
