"""Restore a backup into a private database of a PostgreSQL server, which is dropped afterwards.

The server's own programs do it (`pg_restore`, `psql`), as people would. A dump in SQL is filtered on the way: owners
and rights are left out, because the roles need not exist here, and nothing that psql takes for a command gets through.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nurture.app.backups.formats import Backup, Spoiled
from nurture.database.server import run_on_server
from nurture.domain.errors import UserError

#: The last words of a program that are shown.
_WORDS_MAX: Final = 500
_COMPLETE: Final = b"-- PostgreSQL database dump complete"
_OWNERSHIP: Final = (b"ALTER ", b"GRANT ", b"REVOKE ")
#: psql's own guard in newer dumps; older programs do not know it, and the filter below does its work.
_GUARD: Final = (b"\\restrict ", b"\\unrestrict ")


@contextmanager
def private_database(server: str) -> Iterator[str]:
    """Give the URL of a new, empty database on the server of this URL; dropped at the end, whatever happens.

    Raises UserError when the server does not answer or the account may not create databases.
    """
    url = sa.make_url(server).set(drivername="postgresql+psycopg")
    name = f"nurture_verify_{os.getpid()}"
    try:
        run_on_server(url, f'CREATE DATABASE "{name}" TEMPLATE template0')
    except DBAPIError as error:
        shown = url.render_as_string()
        raise UserError(
            f"{shown}: no private database can be made: {_last_line(str(error.orig))}; name another server with "
            "--server, or give the account the right CREATEDB"
        ) from error
    try:
        yield url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with suppress(DBAPIError):
            run_on_server(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def restore(backup: Backup, url: str, folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Restore the backup into the empty database at `url`. folder: private, for the password and messages.

    Raises Spoiled when the server's programs refuse it, UserError when one is missing.
    """
    place = f"--dbname={_without_password(url, folder)}"
    if backup.format == "pg-sql":
        command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", place]
        _run(backup, command, Filter(backup.path.name).lines(backup.parts(progress)), folder)
        return
    command = ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", place]
    if backup.format == "pg-directory":
        _run(backup, [*command, str(backup.path)], (), folder)
    else:
        _run(backup, command, backup.parts(progress), folder)


class Filter:
    """Takes what psql would carry out, owners and rights from a dump in SQL."""

    def __init__(self, name: str) -> None:
        """Prepare for the dump of this name."""
        self._name = name
        self._line = 0
        self._is_data = False

    def lines(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what may be restored. Raises Spoiled for a dump without its last line, or with a command."""
        rest, is_complete = b"", False
        for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            kept = [line for line in lines if self._keeps(line)]
            is_complete = is_complete or any(line.startswith(_COMPLETE) for line in kept)
            yield b"".join(line + b"\n" for line in kept)
        if rest and self._keeps(rest):
            yield rest
        if not is_complete and not rest.startswith(_COMPLETE):
            raise Spoiled(f"{self._name} ends early: its line `{_COMPLETE.decode()}` is missing")

    def _keeps(self, line: bytes) -> bool:
        self._line += 1
        if self._is_data:
            self._is_data = line.rstrip(b"\r") != b"\\."
            return True
        if line.startswith(b"COPY ") and line.rstrip().endswith(b"FROM stdin;"):
            self._is_data = True
            return True
        if line.startswith(_GUARD):
            return False
        if b"\\" in line:
            raise Spoiled(
                f"{self._name}, line {self._line}: a backslash outside of data may be a command; restore it by hand, "
                "or make the backup with: pg_dump --format=custom"
            )
        return not (line.startswith(_OWNERSHIP) and _is_ownership(line))


def _is_ownership(line: bytes) -> bool:
    return not line.startswith(b"ALTER ") or b" OWNER TO " in line or line.startswith(b"ALTER DEFAULT PRIV")


def _run(backup: Backup, command: Sequence[str], parts: "Iterator[bytes] | tuple[()]", folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise UserError(
            f"{command[0]} is not on the PATH: install PostgreSQL's client programs (Debian: apt-get install "
            "postgresql-client)"
        )
    words = folder / "words"
    with words.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - the words are ours
            [program, *command[1:]], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        )
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            # A program that stopped reading says why at its end.
            with suppress(BrokenPipeError):
                for part in parts:
                    process.stdin.write(part)
            with suppress(BrokenPipeError):
                process.stdin.close()
            code = process.wait()
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            if process.poll() is None:
                process.kill()
                process.wait()
    if code:
        reason = _last_line(words.read_text(encoding="utf-8", errors="replace"))
        raise Spoiled(f"{backup.path.name}: {command[0]}: {reason}")


def _without_password(url: str, folder: Path) -> str:
    """Return the URL for a command line, which others can read, and write the password to a private file."""
    parsed = sa.make_url(url)
    if parsed.password:
        file = folder / "pgpass"
        secret = str(parsed.password).replace("\\", "\\\\").replace(":", "\\:")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(f"*:*:*:*:{secret}\n")
        parsed = parsed.update_query_dict({"passfile": str(file)})
    bare = sa.URL.create(
        "postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, parsed.query
    )
    return bare.render_as_string(hide_password=False)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    faults = [line for line in lines if "error:" in line or "ERROR:" in line]
    return (faults or lines or ["no reason was given"])[0][-_WORDS_MAX:]
