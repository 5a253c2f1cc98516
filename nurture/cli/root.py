"""The root command: registers the sub-commands, and prints each error as one line with its exit code."""

import sys
from typing import Annotated

import typer

from nurture import __version__
from nurture.cli import (
    access,
    audience,
    cancel,
    config,
    contact,
    doctor,
    import_,
    init,
    messages,
    pause,
    playbook,
    preview,
    programme_tests,
    report,
    resume,
    send,
    sends,
    status,
    suppression,
    track,
    values,
)
from nurture.cli.decisions import cases, conflicts, quarantine
from nurture.cli.exchange import backup, export, hooks
from nurture.cli.processes import api, inbound, migrate, scheduler, up, worker
from nurture.cli.virtual_time import demo, simulate
from nurture.domain.errors import CheckFailed, Transient, UserError

app = typer.Typer(
    name="nurture",
    help="Self-hosted e-mail lifecycle engine: receives events, tracks each person's stage, sends the mail that fits.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"nurture {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Settings come from NURTURE_* variables, `.env` or `nurture.toml`; `nurture config show` lists them."""


app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("up")(up.up)
app.command("init")(init.init)
app.add_typer(playbook.app, name="playbook")
app.command("import")(import_.import_)
app.command("export")(export.export)
app.command("track")(track.track)
app.add_typer(contact.app, name="contact")
app.command("audience")(audience.audience)
app.add_typer(values.app, name="values")
app.command("send")(send.send)
app.add_typer(sends.app, name="sends")
app.command("preview")(preview.preview)
app.command("test")(programme_tests.run_tests)
app.command("pause")(pause.pause)
app.command("resume")(resume.resume)
app.command("cancel")(cancel.cancel)
app.add_typer(suppression.app, name="suppression")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(cases.app, name="cases")
app.add_typer(hooks.app, name="hooks")
app.add_typer(backup.app, name="backup")
app.add_typer(messages.app, name="messages")
app.add_typer(report.app, name="report")
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("migrate")(migrate.migrate)
app.command("api")(api.api)
app.command("worker")(worker.worker)
app.command("scheduler")(scheduler.scheduler)
app.add_typer(access.app, name="access")
app.command("inbound")(inbound.inbound)
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command. Exit codes: 0 done, 1 a check failed, 2 wrong use or configuration, 130 interrupted."""
    try:
        app(standalone_mode=True)
    except CheckFailed as error:
        _fail(str(error), 1)
    except (UserError, Transient) as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:
        message = _describe_outside_error(error)
        if message is None:
            raise
        _fail(message, 2)


def _fail(message: str, code: int) -> None:
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"nurture: {line}\n")
    raise SystemExit(code)


def _describe_outside_error(error: Exception) -> str | None:
    """Return one line for an error of the database or the operating system; None for an error in the program."""
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
        return f"the database refused the request: {lines[-1] if lines else error.orig}"
    if isinstance(error, OverflowError) and "SQLite" in str(error):
        return "a number is larger than any that is stored; look at the options and names again"
    if isinstance(error, OSError):
        return f"{error.filename or 'operating system'}: {error.strerror or error}"
    return None
