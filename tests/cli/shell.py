"""Running the `nurture` command in a folder of its own, in this process, and reading its output."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nurture.app.installation import open_existing
from nurture.app.services import Services
from nurture.cli import main
from nurture.delivery.types import Delivery
from nurture.simulation.run_until_idle import run_until_idle
from nurture.simulation.transport import Outlet

SHIPPED = Path(__file__).parent.parent.parent / "email_templates"


@dataclass(frozen=True)
class CommandOutput:
    """The output of a command and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return the JSON document it printed."""
        return json.loads(self.out)

    def line(self) -> str:
        """Return the one line on standard error. Fails when there are more, or a traceback."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class Shell:
    """A folder, an environment, and the command."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        """Begin in an empty folder, with no settings but the shipped programme's place."""
        self.folder = folder
        self._patch = patch
        self._capture = capture
        patch.chdir(folder)
        self.set("PLAYBOOK", str(SHIPPED))

    def set(self, name: str, value: str) -> None:
        """Set NURTURE_name."""
        self._patch.setenv(f"NURTURE_{name}", value)

    def __call__(self, *words: str) -> CommandOutput:
        """Run `nurture WORDS`."""
        self._patch.setattr(sys, "argv", ["nurture", *words])
        self._capture.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        captured = self._capture.readouterr()
        return CommandOutput(code, captured.out, captured.err)

    def fill(self, template: Path, build: Callable[["Shell"], None]) -> None:
        """Fill the empty folder with what `build` makes; it is built once a session and then copied.

        template: the folder to keep the copy in, the same for everybody who gives the same `build`.
        """
        assert not any(self.folder.iterdir())
        if template.is_dir():
            shutil.copytree(template, self.folder, dirs_exist_ok=True)
        else:
            build(self)
            shutil.copytree(self.folder, template)

    def install(self) -> None:
        """Run `nurture migrate` in the empty folder, with the settings of every shell; once a session, then copied."""
        self.fill(self.folder.parent / "installed_by_migrate", _migrate)

    def work(self) -> None:
        """Do what the workers of `nurture up` would do now."""
        services = open_existing()
        try:
            run_until_idle(services.database, delivery(services), {"main": Outlet()})
        finally:
            services.close()


def _migrate(shell: Shell) -> None:
    assert shell("migrate").code == 0


def delivery(services: Services) -> Delivery:
    """Return what delivering needs, for these services."""
    settings = services.settings
    return Delivery(
        clock=services.clock,
        playbooks=services.playbooks,
        keys=services.keys,
        suppression_key=settings.suppression_secret,
        base_url=settings.public_url,
        worker="test",
    )


@pytest.fixture
def nurture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Give the command in an empty folder."""
    return Shell(tmp_path, monkeypatch, capsys)
