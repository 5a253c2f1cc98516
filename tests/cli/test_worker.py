"""`nurture up` and `nurture worker` use their own `workers` package, whatever lies in the current directory."""

import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nurture.cli.context import load_workers
from nurture.domain.errors import SettingsError
from tests.workers.installation import environment, eventually, installed, settings_of

HOSTILE = 'print("the wrong workers was imported", flush=True)\nraise SystemExit(9)\n'


@pytest.fixture
def folder(sqlite_url: str, tmp_path: Path) -> Path:
    """Give the folder of an installation in which a foreign `workers.py` lies."""
    with installed(settings_of(tmp_path, sqlite_url)):
        (tmp_path / "workers.py").write_text(HOSTILE)
    return tmp_path


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Start a command in the folder; `-m` puts the folder first on sys.path."""
    settings = environment(folder, f"sqlite:///{folder}/nurture.db", log_level="info")
    with (folder / "log").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nurture.cli", *words],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin"} | settings,
            text=True,
            stdout=log,
            stderr=log,
        )


@pytest.mark.parametrize(
    ("words", "number", "codes", "started"),
    [
        # Not SIGINT, which a test run in the background inherits ignored.
        (("up", "--port", "0"), signal.SIGTERM, {0, -signal.SIGTERM}, "nurture is running"),
        (("worker", "--concurrency", "1"), signal.SIGTERM, {0}, "ready"),
    ],
    ids=["up", "worker"],
)
def test_a_foreign_workers_module_in_the_folder_is_not_imported(
    folder: Path, words: tuple[str, ...], number: signal.Signals, codes: set[int], started: str
) -> None:
    process = start(folder, *words)
    try:
        log = folder / "log"
        assert eventually(lambda: started in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        process.send_signal(number)
        assert process.wait(60) in codes, log.read_text()
        assert "the wrong workers" not in log.read_text()
    finally:
        process.kill()
        process.wait(10)


def test_a_foreign_workers_module_that_is_imported_already_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ModuleType("workers")
    foreign.__file__ = "/elsewhere/workers.py"
    monkeypatch.setitem(sys.modules, "workers", foreign)
    with pytest.raises(SettingsError, match=r"/elsewhere/workers\.py: rename it"):
        load_workers("notify")
