"""Restore a backup into a private SQLite file. The backup itself is only read."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from nurture.app.backups.formats import Backup, Spoiled
from nurture.domain.errors import UserError

#: Faults of one kind that are listed.
_SHOWN: Final = 5
#: Bytes of one statement in a text dump: more than any row holds.
_STATEMENT_MAX: Final = 64 * 2**20


def restore(backup: Backup, target: Path, progress: Callable[[int], None] | None = None) -> None:
    """Write the backup's database to `target`.

    Raises Spoiled for a damaged file, UserError when there is no room for the copy.
    """
    if backup.format == "sqlite-sql":
        _run_statements(backup, target, progress)
        return
    _require_room(backup, target)
    with target.open("wb") as file:
        for part in backup.parts(progress):
            file.write(part)
    log = backup.path.with_name(f"{backup.path.name}-wal")
    if log.exists():
        # Copied beside its file, the log holds the newest transactions.
        shutil.copyfile(log, target.with_name(f"{target.name}-wal"))


def find_damage(path: Path) -> list[str]:
    """Return what SQLite finds wrong in a file: broken pages and indexes, rows that name no other row."""
    try:
        connection = sqlite3.connect(path)
        try:
            found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_SHOWN})")]
            damage = [] if found == ["ok"] else found
            rows = connection.execute("PRAGMA foreign_key_check").fetchmany(_SHOWN)
            return damage + [f"row {row[1]} of {row[0]} names no row of {row[2]}" for row in rows]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return [str(error)]


def _require_room(backup: Backup, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if backup.size > free:
        raise UserError(
            f"{backup.path} has {backup.size:,} bytes, and {target.parent} has room for {free:,}: "
            "name another folder with --folder"
        )


def _run_statements(backup: Backup, target: Path, progress: Callable[[int], None] | None) -> None:
    connection = sqlite3.connect(target, isolation_level=None)
    # The text of a dump could otherwise write into other files.
    connection.set_authorizer(_refuse_other_files)
    last = ""
    try:
        for statement in _statements(backup.parts(progress)):
            connection.execute(statement)
            last = statement
    except sqlite3.Error as error:
        raise Spoiled(f"{backup.path.name}: SQLite refuses a statement: {error}") from error
    except UnicodeError as error:
        raise Spoiled(f"{backup.path.name}: a statement is no UTF-8, or is cut in a letter") from error
    finally:
        connection.close()
    if not last.strip().upper().startswith("COMMIT"):
        raise Spoiled(f"{backup.path.name} ends early: its last statement is not COMMIT")


def _refuse_other_files(action: int, *_: str | None) -> int:
    refused = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    return sqlite3.SQLITE_DENY if action in refused else sqlite3.SQLITE_OK


def _statements(parts: Iterator[bytes]) -> Iterator[str]:
    """Yield whole statements. Raises Spoiled for one that never ends."""
    waiting, rest = "", b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            waiting += line.decode("utf-8", "surrogateescape") + "\n"
            if line.rstrip().endswith(b";") and sqlite3.complete_statement(waiting):
                yield waiting
                waiting = ""
        if len(waiting) + len(rest) > _STATEMENT_MAX:
            raise Spoiled("a statement is longer than any row")
    waiting += rest.decode("utf-8", "surrogateescape")
    if waiting.strip():
        yield waiting
