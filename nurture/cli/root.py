"""The root of the command: sub-commands, and errors as one clear line with the exit code of the contract."""

import sys
from typing import Annotated

import typer

from nurture import __version__
from nurture.cli import (
    access,
    audience,
    contact,
    demo,
    import_export,
    inbound,
    operate,
    playbook,
    processes,
    report,
    send,
    sends,
    suppression,
)
from nurture.domain.errors import CheckFailed, Transient, UserError

app = typer.Typer(
    name="nurture",
    help="Email lifecycle engine: events in, every person's place in the journey kept true, the mail that fits out.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"nurture {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Settings come from NURTURE_* variables, `.env` or `nurture.toml`; `nurture config show` lists them."""


app.command("demo")(demo.demo)
app.command("simulate")(demo.simulate)
app.command("up")(processes.up)
app.command("init")(playbook.init)
app.add_typer(playbook.app, name="playbook")
app.command("import")(import_export.import_)
app.command("export")(import_export.export)
app.command("track")(import_export.track)
app.add_typer(contact.app, name="contact")
app.command("audience")(audience.audience)
app.command("send")(send.send)
app.add_typer(sends.app, name="sends")
app.command("preview")(send.preview)
app.command("pause")(send.pause)
app.command("resume")(send.resume)
app.command("cancel")(send.cancel)
app.add_typer(suppression.app, name="suppression")
app.command("messages")(report.messages)
app.add_typer(report.app, name="report")
app.command("doctor")(operate.doctor)
app.command("migrate")(operate.migrate)
app.command("api")(processes.api)
app.command("scheduler")(processes.scheduler)
app.add_typer(access.app, name="access")
app.command("inbound")(inbound.inbound)
app.add_typer(operate.config, name="config")


def main() -> None:
    """Run the command. Exit 0 done, 1 a check found something, 2 wrong use or configuration."""
    try:
        app(standalone_mode=True)
    except CheckFailed as error:
        _fail(str(error), 1)
    except (UserError, Transient) as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        _fail(known, 2)


def _fail(message: str, code: int) -> None:
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"nurture: {line}\n")
    raise SystemExit(code)


def _known(error: Exception) -> str | None:
    """Return the line for an error of the database or the disk, which is not the program's fault."""
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
        return f"the database refused: {lines[-1] if lines else error.orig}"
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror or error}"
    return None
