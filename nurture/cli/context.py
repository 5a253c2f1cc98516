"""Share between commands: common options, the opened installation, the audit actor, and the confirmation."""

import os
import pwd
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.domain.errors import SettingsError, UserError

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
Switch = Annotated[str, typer.Argument(help="A measure's path, a lane's name, LANE:marketing, or all.")]


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
            load_workers("notify").open_notifier(self._settings).notify(notifications)


def load_workers(module: str) -> ModuleType:
    """Return a module of the `workers` package that is installed beside `nurture`, wherever the command runs.

    A `workers` in the current directory or elsewhere on sys.path is not imported. Raises SettingsError when one
    has been imported already.
    """
    import nurture

    folder = Path(nurture.__file__).resolve().parents[1]
    package = sys.modules.get("workers")
    if package is None:
        spec = PathFinder.find_spec("workers", [str(folder)])
        if spec is None or spec.loader is None:
            raise SettingsError(f"the package workers is missing in {folder}: install nurture again")
        package = sys.modules["workers"] = module_from_spec(spec)
        try:
            spec.loader.exec_module(package)
        except BaseException:
            del sys.modules["workers"]
            raise
    found = Path(package.__file__ or "").resolve()
    if found != folder / "workers" / "__init__.py":
        raise SettingsError(f"another module named workers was imported first, {found}: rename it")
    return import_module(f"workers.{module}")


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
