"""Run a programme's tests: every timeline of its folder `tests/`, then its pytest files."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nurture.app.installation import programme_folder
from nurture.domain.errors import PlaybookError, SettingsError
from nurture.playbook import LoadedPlaybook
from nurture.playbook.fault import Faults
from nurture.playbook.load import TESTS
from nurture.runtime.settings import load_settings
from nurture.testing.play_timeline import Failure, Result, play_timeline
from nurture.testing.programme import TestProgramme, load_programme
from nurture.testing.timeline_file import Timeline, find_files, read_timelines


@dataclass(slots=True)
class Report:
    """The tests of a programme that were run."""

    folder: str
    results: list[Result] = field(default_factory=list)
    # The number of pytest files, and what pytest printed; its exit code is 0 when all passed.
    pytest_files: int = 0
    pytest_output: str = ""
    pytest_code: int = 0
    # Golden files that were written.
    written: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Result]:
        """The timelines with a failure."""
        return [result for result in self.results if not result.passed]

    @property
    def has_passed(self) -> bool:
        """True when every test passed."""
        return not self.failed and self.pytest_code == 0

    def document(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "folder": self.folder,
            "passed": len(self.results) - len(self.failed),
            "failed": len(self.failed),
            "timelines": [{**asdict(result), "passed": result.passed} for result in self.results],
            "pytest": {
                "files": self.pytest_files,
                "passed": self.pytest_code == 0,
                "output": self.pytest_output,
            },
            "written": self.written,
        }


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The tests to run. only: those whose name or file has this text. update: golden files are written."""

    only: str = ""
    update: bool = False


#: Called with each timeline that was played.
Progress = Callable[[Result], None]


def run_tests(folder: Path | None, options: RunOptions, *, progress: Progress | None = None) -> Report:
    """Run the tests of a programme. folder: default NURTURE_PLAYBOOK.

    Raises PlaybookError for faults of the programme or of a file of timelines, SettingsError where pytest is needed
    and missing.
    """
    root = folder if folder is not None else programme_folder(load_settings())
    loaded = load_programme(root)
    files, pytest_files = find_files(root / TESTS)
    report = Report(str(root))
    for timeline in _wanted(read_files(root, files, loaded), options.only):
        result = play(loaded, root, timeline, update=options.update, written=report.written)
        report.results.append(result)
        if progress is not None:
            progress(result)
    chosen = [path for path in pytest_files if not options.only or options.only in path.name]
    if chosen:
        report.pytest_files = len(chosen)
        report.pytest_code, report.pytest_output = _run_pytest(root, chosen, update=options.update)
    return report


def read_files(root: Path, files: list[Path], loaded: LoadedPlaybook) -> list[Timeline]:
    """Return the timelines of the files. Raises PlaybookError with every fault of all of them."""
    faults = Faults()
    timelines = [
        timeline
        for path in files
        for timeline in read_timelines(
            path.relative_to(root).as_posix(), _read(path), loaded.playbook, faults
        )
    ]
    if faults:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return timelines


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlaybookError([f"{path}:1: not UTF-8: save the file as UTF-8"]) from error


def _wanted(timelines: list[Timeline], text: str) -> Iterator[Timeline]:
    yield from (item for item in timelines if text in item.model.name or text in item.path)


def play(
    loaded: LoadedPlaybook, root: Path, timeline: Timeline, *, update: bool, written: list[str]
) -> Result:
    """Play one timeline in a database of its own. written: gets the golden files that were written."""
    model = timeline.model
    try:
        programme = TestProgramme(
            loaded,
            start=model.start,
            holdout=model.holdout,
            variants=model.variants,
            golden=root / TESTS / "golden",
            update_golden=update,
        )
    except (PlaybookError, ValueError) as error:
        failure = Failure(timeline.line(), "this can be played", str(error))
        return Result(timeline.path, timeline.line(), model.name, [failure])
    with programme:
        result = play_timeline(timeline, programme)
        written += programme.golden.written
        return result


def _run_pytest(root: Path, files: list[Path], *, update: bool) -> tuple[int, str]:
    if find_spec("pytest") is None:
        raise SettingsError(
            f"{files[0]} is a pytest file and pytest is not installed; run: python -m pip install pytest"
        )
    arguments = ["-q", "-p", "nurture.testing.plugin", f"--programme={root}", f"--rootdir={root / TESTS}"]
    arguments += ["-c", os.devnull, "-p", "no:cacheprovider", "--import-mode=importlib"]
    arguments += ["--update-golden"] if update else []
    done = subprocess.run(  # noqa: S603 - our own interpreter with files of the user's own folder
        [sys.executable, "-m", "pytest", *arguments, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
