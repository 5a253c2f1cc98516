"""The built wheel holds everything that the commands need, and they run in an empty folder."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, name, tracked
from tests.rig.process import free_port
from tests.workers.installation import eventually


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the locked build backend; nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_every_file_of_both_packages_and_the_shipped_programme(wheel: Path) -> None:
    held = {entry for entry in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in entry}
    files = {name(path) for path in tracked()}
    code = {file for file in files if file.startswith(("nurture/", "workers/"))}
    programme = {file.partition("/")[2] for file in files if file.startswith("email_templates/")}
    assert {"nurture/py.typed", "workers/py.typed"} <= held
    assert held == code | {f"nurture/_shipped/{file}" for file in programme}


class Installed:
    """The wheel in an environment of its own, beside the locked dependencies, with an empty working folder."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self._bin = folder / "environment" / "bin"
        venv.create(folder / "environment", symlinks=True)
        # Only the directory is added: its own .pth files, the editable project's among them, are not read.
        (site,) = (folder / "environment").glob("lib/python*/site-packages")
        (site / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
        options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "--python", str(self._bin / "python"), "install", *options]
        subprocess.run([*command, str(wheel)], check=True)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a command in the empty folder."""
        return subprocess.Popen(
            self._line(command), cwd=self.folder, env=self._environment(), stdout=subprocess.DEVNULL
        )

    def run(self, *command: str) -> str:
        """Run a command in the empty folder and return its output."""
        done = subprocess.run(
            self._line(command),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _line(self, command: Sequence[str]) -> list[str]:
        program, *arguments = command
        if (self._bin / program).exists():
            return [str(self._bin / program), *arguments]
        return [str(self._bin / "python"), "-m", program, *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:{os.defpath}", "HOME": str(self.folder)}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("installed"))


@pytest.mark.long
def test_commands_run_from_the_installed_wheel(installed: Installed) -> None:
    where = installed.run(
        "python", "-c", "import nurture, workers; print(nurture.__file__, workers.__file__)"
    )
    assert str(ROOT) not in where
    assert "--queues" in installed.run("celery", "-A", "workers", "worker", "--help")
    summary = json.loads(
        installed.run("nurture", "demo", "--no-serve", "--people", "20", "--days", "5", "--json")
    )
    assert summary["mails"] > 0


@pytest.mark.long
def test_up_answers_from_the_installed_wheel(installed: Installed) -> None:
    port = free_port()
    process = installed.start("nurture", "up", "--port", str(port))

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        assert eventually(answers, seconds=180)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
