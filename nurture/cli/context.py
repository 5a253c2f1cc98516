"""What every command needs: the settings, the opened services, who is asking, and a yes before bulk actions."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.domain.errors import UserError

if TYPE_CHECKING:
    from nurture.app.services import Services
    from nurture.runtime.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document for machines instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop there.")]
Who = Annotated[str, typer.Argument(help="An e-mail address, id:USER_ID or contact:N.", metavar="WHO")]


@contextmanager
def services() -> Iterator["Services"]:
    """Open the services of an existing installation; says plainly when there is none here."""
    from nurture.app.installation import open_existing
    from nurture.runtime.settings import load_settings

    settings = load_settings()
    opened = open_existing(settings, bells=_LateBells(settings))
    try:
        yield opened
    finally:
        opened.close()


class _LateBells:
    """The workers' doorbells, hung up at the first ring: most commands ring nobody, and Celery takes half a second."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def ring(self, queue: str, key: str) -> None:
        """Ring; an embedded engine is another process that nobody can ring, and looks by itself."""
        if not self._settings.broker_url.startswith("memory:"):
            from workers.notify import open_bells

            open_bells(self._settings).ring(queue, key)


def actor() -> str:
    """Return who is at the keyboard, for the audit log: the system's word, not the environment's."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with a yes. Raises UserError when nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"{question} Nobody to ask here; add --yes"
        raise UserError(message)
    if not typer.confirm(question):
        raise typer.Exit(1)
