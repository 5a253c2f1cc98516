"""`nurture test`: run a programme's own tests."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json

if TYPE_CHECKING:
    from nurture.testing.play_timeline import Failure, Result
    from nurture.testing.run import Report


def run_tests(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The programme's folder; default NURTURE_PLAYBOOK.")
    ] = None,
    *,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Run the tests whose name or file has this text.")
    ] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Write the golden mails as they are now; look at the diff.")
    ] = False,
    story: Annotated[
        bool, typer.Option("--story", help="Tell what happened in every timeline, not only in failed ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a programme's own tests: the timelines and pytest files of its folder tests/. Exit code 1 when one fails.

    Time is virtual, the database is temporary and no mail is sent; rules, guard and templates are the real ones.

    Example: nurture test programme --only cart
    """
    from nurture.domain.errors import CheckFailed
    from nurture.testing.run import RunOptions
    from nurture.testing.run import run_tests as run

    shown = None if as_json else (lambda result: _print_result(result, story=story))
    report = run(folder, RunOptions(only=only, update=update), progress=shown)
    if as_json:
        output.print_json(report.document())
        if not report.has_passed:
            raise typer.Exit(1)
        return
    if report.pytest_files:
        sys.stdout.write(report.pytest_output)
    for path in report.written:
        output.print_notice(f"written: {path}")
    summary = _summary(report)
    if not report.has_passed:
        raise CheckFailed(summary)
    sys.stdout.write(f"{summary}\n")


def _summary(report: "Report") -> str:
    if not report.results and not report.pytest_files:
        return f"no tests in {report.folder}/tests; docs/howto/test-a-programme.md shows how to write one"
    failed, total = len(report.failed), len(report.results)
    timelines = f"{total - failed} of {total} timelines passed"
    if not report.pytest_files:
        return timelines
    return f"{timelines}, pytest {'passed' if report.pytest_code == 0 else 'failed'}"


def _print_result(result: "Result", *, story: bool) -> None:
    state = "passed" if result.passed else "FAILED"
    sys.stdout.write(f"{state}  {result.path}:{result.line}  {result.name}\n")
    for failure in result.failures:
        _print_failure(result, failure)
    if story or not result.passed:
        sys.stdout.write("  the story\n")
        sys.stdout.writelines(f"    {line}\n" for line in result.story or ["nothing happened"])
        sys.stdout.write("\n")


def _print_failure(result: "Result", failure: "Failure") -> None:
    sys.stdout.write(f"  {result.path}:{failure.line}\n")
    sys.stdout.write(f"    expected  {failure.expected}\n    got       {failure.got}\n")
    for number, line in enumerate(failure.why):
        sys.stdout.write(f"    {'because' if number == 0 else '':<8}  {line}\n")
