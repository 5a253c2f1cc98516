"""Verify a backup: restore it into a private place, check what came out, and compare it with the database in use."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from nurture.app.backups import postgresql_restore, sqlite_restore
from nurture.app.backups.formats import Backup, Spoiled, recognise
from nurture.app.doctor import Finding, examine_rows, list_findings
from nurture.app.installation import unreachable_message
from nurture.database import meta, migrations
from nurture.database.engine import Database, open_database
from nurture.domain.errors import SettingsError, UserError
from nurture.domain.instant import SECOND, Duration, Instant, format_duration, to_iso
from nurture.playbook import PublishedPlaybooks
from nurture.reports import backups as rows
from nurture.runtime.clock import Clock
from nurture.runtime.settings import Settings

#: How many of the newest contacts are compared with a replay of their events.
_REPLAYED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """The place for the restored rows, and the age that is allowed."""

    #: URL of the PostgreSQL server for a private database; None: the one of NURTURE_DATABASE_URL.
    server: str | None = None
    #: Where a private file may lie; None: the system's temporary folder.
    folder: Path | None = None
    #: An older backup fails.
    age_max: Duration | None = None
    progress: Callable[[int], None] | None = None


@dataclass(slots=True)
class _Report:
    """The checks and figures of a backup so far."""

    checks: list[Finding] = field(default_factory=list)
    revision: str | None = None
    newest: Instant | None = None
    rows: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] | None = None

    def add(self, check: str, faults: list[str], *, note: str = "") -> bool:
        """Note a check and return whether it passed."""
        self.checks.append(list_findings(check, faults or [note], ok=not faults))
        return not faults


def verify(
    settings: Settings, path: Path, options: VerifyOptions | None = None, *, clock: Clock
) -> dict[str, Any]:
    """Return what a backup holds and lacks: format, revision, age, rows, later rows of the database in use, checks.

    The backup is only read, and what was restored is gone at the end. Raises UserError when the file is no backup,
    or there is no place to restore it to.
    """
    options = options or VerifyOptions()
    backup = recognise(path)
    _refuse_running_database(settings, path)
    report = _Report()
    with _private_folder(options.folder) as folder, _private_place(settings, backup, folder, options) as url:
        try:
            _restore(backup, url, folder, options)
        except Spoiled as fault:
            report.add("restore", [str(fault)])
        else:
            _check_restored(settings, backup, url, report, options=options, clock=clock)
    return {
        "file": str(path),
        "format": backup.format,
        "revision": report.revision,
        "newest": None if report.newest is None else to_iso(report.newest),
        "age_seconds": None if report.newest is None else (clock.now() - report.newest) // SECOND,
        "rows": report.rows,
        "later_in_database": report.later,
        "checks": report.checks,
    }


def _refuse_running_database(settings: Settings, path: Path) -> None:
    name = settings.database_url.removeprefix("sqlite:///")
    if settings.database_url.startswith("sqlite:") and Path(name).exists() and path.samefile(name):
        raise UserError(
            f"{path} is the database in use, not a backup; make one with: sqlite3 {name} \".backup 'backup.db'\""
        )


@contextmanager
def _private_folder(parent: Path | None) -> Iterator[Path]:
    try:
        held = tempfile.TemporaryDirectory(prefix="nurture-verify-", dir=parent)
    except OSError as error:
        raise UserError(f"--folder {parent}: {error.strerror}; name a folder that can be written") from error
    with held as name:
        yield Path(name)


@contextmanager
def _private_place(settings: Settings, backup: Backup, folder: Path, options: VerifyOptions) -> Iterator[str]:
    if backup.is_sqlite:
        yield f"sqlite:///{folder / 'restored.db'}"
        return
    server = options.server or settings.database_url
    if not server.startswith("postgres"):
        raise UserError(
            f"{backup.path} is a backup of PostgreSQL, and NURTURE_DATABASE_URL is not: name a server with "
            "--server postgresql://user:password@host/postgres"
        )
    with postgresql_restore.private_database(server) as url:
        yield url


def _restore(backup: Backup, url: str, folder: Path, options: VerifyOptions) -> None:
    try:
        if backup.is_sqlite:
            sqlite_restore.restore(backup, folder / "restored.db", options.progress)
        else:
            postgresql_restore.restore(backup, url, folder, options.progress)
    except OSError as error:
        raise UserError(
            f"{backup.path} was not restored into {folder}: {error.strerror}; name another folder with --folder"
        ) from error


def _check_restored(
    settings: Settings, backup: Backup, url: str, report: _Report, *, options: VerifyOptions, clock: Clock
) -> None:
    report.add("restore", [], note=f"{backup.size:,} bytes of {backup.format}")
    damage = sqlite_restore.find_damage(Path(url.removeprefix("sqlite:///"))) if backup.is_sqlite else []
    if not report.add("integrity", damage):
        return
    database = open_database(url, pool_size=2, keeps=False)
    try:
        if _check_shape(database, report):
            _check_rows(settings, database, report, options, clock)
    finally:
        database.close()


def _check_shape(database: Database, report: _Report) -> bool:
    """Return whether the restored database has this version's tables, or could be given them."""
    with database.read() as connection:
        report.revision = found = migrations.current(connection)
    if not found:
        return report.add("revision", ["there is no table of nurture in it"])
    if found > migrations.HEAD:
        newer = f"revision {found} is of a newer release than this, {migrations.HEAD}: restore it with that release"
        return report.add("revision", [newer])
    note = f"{found}, as this release needs it"
    if found != migrations.HEAD:
        try:
            migrations.upgrade(database)
        except DBAPIError as error:
            return report.add("revision", [f"{found} cannot be migrated to {migrations.HEAD}: {error.orig}"])
        note = f"{found}; migrating it to {migrations.HEAD} works, and `nurture migrate` does that after a restore"
    report.add("revision", [], note=note)
    with database.read() as connection:
        missing = rows.missing_tables(connection)
    return report.add("tables", [f"table {name} is missing" for name in missing])


def _check_rows(
    settings: Settings, database: Database, report: _Report, options: VerifyOptions, clock: Clock
) -> None:
    with database.read() as connection:
        report.rows = rows.count_rows(connection)
        report.newest = rows.newest_instant(connection, until=clock.now())
        fingerprint = meta.suppression_fingerprint(connection)
    _check_age(report, options, now=clock.now())
    report.add("suppression key", _key_faults(settings, fingerprint))
    playbooks = PublishedPlaybooks()
    with database.read() as connection:
        has_programme = playbooks.active_id(connection) is not None
    if report.add("programme", [] if has_programme else ["no playbook is published in it"]):
        # Judged as of its last moment: what became due since then was not lost.
        now = clock.now() if report.newest is None else report.newest
        key = settings.suppression_secret if settings.suppression_key else b""
        findings = examine_rows(database, playbooks, now=now, suppression_key=key, replayed=_REPLAYED)
        report.checks.extend(findings)
    _compare(settings, report)


def _check_age(report: _Report, options: VerifyOptions, *, now: Instant) -> None:
    if report.newest is None:
        report.add(
            "age", ["it holds no event, mail, consent or audit row: it is the backup of an empty database"]
        )
        return
    age = max(now - report.newest, 0) // SECOND * SECOND
    words = f"its newest row is {format_duration(age)} old ({to_iso(report.newest)})"
    is_old = options.age_max is not None and age > options.age_max
    report.add("age", [f"{words}: older than --age-max"] if is_old else [], note=words)


def _key_faults(settings: Settings, stored: str | None) -> list[str]:
    if settings.suppression_key is None:
        return [
            "NURTURE_SUPPRESSION_KEY is not set here, so nobody can say whether it fits; keep it with the backup"
        ]
    if stored is None:
        return ["no suppression key is bound to it; it was never migrated to its end"]
    if stored != settings.suppression_fingerprint:
        return [
            "NURTURE_SUPPRESSION_KEY is not the key of this backup; restored, suppressed people would be mailed"
        ]
    return []


def _compare(settings: Settings, report: _Report) -> None:
    """Count what the database in use holds beyond the backup; without one there is nothing to compare."""
    if report.newest is None:
        return
    database = open_database(settings.database_url, pool_size=1)
    try:
        migrations.require_current(database)
        with database.read() as connection:
            report.later = rows.count_later(connection, report.newest)
    except SettingsError as error:
        report.add("database in use", [], note=f"not compared: {error}")
    except DBAPIError as error:
        report.add("database in use", [], note=f"not compared: {unreachable_message(settings, error)}")
    else:
        words = ", ".join(f"{count} {name}" for name, count in report.later.items() if count)
        report.add(
            "database in use", [], note=f"a restore loses {words}" if words else "a restore loses nothing"
        )
    finally:
        with suppress(DBAPIError):
            database.close()
