"""`nurture backup`: verify backups of the database."""

from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json
from nurture.domain.errors import CheckFailed, UserError

app = typer.Typer(no_args_is_help=True, help="Verify backups of the database.")


@app.callback()
def backup() -> None:
    """Verify backups of the database."""


@app.command()
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A copy of the SQLite file, or the output of pg_dump; also with gzip.", metavar="FILE"
        ),
    ],
    *,
    server: Annotated[
        str | None,
        typer.Option(
            help="URL of the PostgreSQL server that takes the private database; default NURTURE_DATABASE_URL.",
            metavar="URL",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder with room for the private copy; default: the system's.")
    ] = None,
    age_max: Annotated[
        str | None, typer.Option(help="Fail when the newest row is older, such as 26h.", metavar="DURATION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Restore a backup into a private place, check everything in it, and say what it lacks. Changes nothing.

    It says the age, compares the backup with the database in use, and runs the doctor's checks. Of PostgreSQL, the
    backup is restored into a new database of the server, which is dropped at the end. Exit code 1 when a check fails.

    Example: nurture backup verify nurture.dump --age-max 26h
    """
    from nurture.app.backups.verify import VerifyOptions
    from nurture.app.backups.verify import verify as verify_backup
    from nurture.domain.instant import parse_duration
    from nurture.runtime.clock import SystemClock
    from nurture.runtime.settings import load_settings

    try:
        allowed = parse_duration(age_max) if age_max is not None else None
    except ValueError as error:
        raise UserError(f"--age-max: {error}") from error
    progress = None if as_json else output.megabytes_printer(f"of {file.name} read")
    options = VerifyOptions(server=server, folder=folder, age_max=allowed, progress=progress)
    found = verify_backup(load_settings(), file, options, clock=SystemClock())
    if as_json:
        output.print_json(found)
    else:
        shown = {name: value for name, value in found.items() if name != "checks"}
        output.print_fields(shown, title="backup")
        output.print_table(found["checks"], ["check", "ok", "detail"])
    failed = [check["check"] for check in found["checks"] if not check["ok"]]
    if failed:
        message = f"{len(failed)} of {len(found['checks'])} checks failed: {', '.join(failed)}"
        raise CheckFailed(message)
