"""A backup is restored privately, checked as the doctor checks, and compared with the database in use."""

import bz2
import gzip
import lzma
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nurture.app.backups.formats import Spoiled, describe_unknown, tell_format
from nurture.app.backups.postgresql_restore import Filter
from nurture.app.backups.sqlite_restore import find_damage
from nurture.database import migrations
from nurture.database.engine import open_database
from tests.cli.shell import Shell
from tests.rig.postgres import client_programs
from tests.workers.installation import SECRET


@pytest.fixture
def shop(nurture: Shell) -> Shell:
    """Give an installation on SQLite in which one person ordered."""
    nurture.install()
    nurture("track", "ann@example.com", "Order Completed", "-p", "order_id=1", "-p", "revenue=20")
    nurture.work()
    return nurture


def copy(shell: Shell, name: str = "backup.db") -> Path:
    """Return a copy of the database, as SQLite's own backup makes it."""
    path = shell.folder / name
    with sqlite3.connect(shell.folder / "nurture.db") as source, sqlite3.connect(path) as target:
        source.backup(target)
    source.close()
    target.close()
    return path


def change(path: Path, statement: str) -> None:
    """Run a statement in a copy."""
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def verified(shell: Shell, path: Path, *more: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the exit code, the document, and the details of each failed check by name."""
    done = shell("backup", "verify", str(path), "--json", *more)
    assert done.code in {0, 1}, done.err
    document = done.document
    return done.code, document, {row["check"]: row["detail"] for row in document["checks"] if not row["ok"]}


def dumped(path: Path) -> Path:
    """Return the text of a database as `.dump` writes it."""
    connection = sqlite3.connect(path)
    text = "PRAGMA foreign_keys=OFF;\n" + "\n".join(connection.iterdump()) + "\n"
    connection.close()
    target = path.with_suffix(".sql")
    target.write_text(text, encoding="utf-8")
    return target


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Return a function that compresses a file."""

    def compress(path: Path) -> Path:
        target = path.with_suffix(".packed")
        target.write_bytes(pack(path.read_bytes()))
        return target

    return compress


@pytest.mark.parametrize(
    "form",
    [Path, packed(gzip.compress), packed(bz2.compress), packed(lzma.compress), dumped],
    ids=["plain", "gzip", "bzip2", "xz", "sql"],
)
def test_a_good_backup_passes_every_check(shop: Shell, form: Callable[[Path], Path]) -> None:
    path = form(copy(shop))
    before = (path.read_bytes(), sorted(shop.folder.iterdir()))
    code, document, failed = verified(shop, path, "--age-max", "1h")
    assert (code, failed) == (0, {})
    assert (document["revision"], document["rows"]["contacts"]) == (migrations.HEAD, 1)
    assert set(document["later_in_database"].values()) == {0}
    assert 0 <= document["age_seconds"] < 600
    names = {row["check"] for row in document["checks"]}
    assert names >= {
        "restore",
        "integrity",
        "revision",
        "tables",
        "age",
        "suppression key",
        "programme",
        "replay",
    }
    assert (path.read_bytes(), sorted(shop.folder.iterdir())) == before


def test_rows_that_came_after_the_backup_are_counted(shop: Shell) -> None:
    path = copy(shop)
    shop("track", "bo@example.com", "Order Completed", "-p", "order_id=2", "-p", "revenue=20")
    shop.work()
    shop("contact", "erase", "ann@example.com", "--yes")
    shop.work()
    code, document, _ = verified(shop, path)
    later = document["later_in_database"]
    assert (code, later["erasures"]) == (0, 1)
    assert later["events"] >= 1
    details = {row["check"]: row["detail"] for row in document["checks"]}
    assert "1 erasures" in details["database in use"]


@pytest.mark.parametrize(
    ("statement", "check", "words"),
    [
        ("UPDATE messages SET track = 'lead', measure = 'lead/any/x'", "track law", ""),
        ("DELETE FROM runs", "", ""),
        ("DROP TABLE switches", "tables", "table switches is missing"),
        ("DELETE FROM active_playbook", "programme", "no playbook is published"),
        (
            "UPDATE meta SET value = 'x' WHERE key = 'suppression_key_fingerprint'",
            "suppression key",
            "not the key",
        ),
        ("DELETE FROM meta WHERE key = 'suppression_key_fingerprint'", "suppression key", "never migrated"),
        ("UPDATE alembic_version SET version_num = '9999'", "revision", "newer release"),
        ("DROP TABLE alembic_version", "revision", "no table of nurture"),
    ],
)
def test_a_backup_that_lacks_something_fails(shop: Shell, statement: str, check: str, words: str) -> None:
    path = copy(shop)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(statement)
    connection.commit()
    connection.close()
    code, _, failed = verified(shop, path)
    assert code == 1
    if check in failed:
        assert words in failed[check]
    else:
        assert failed.keys() - {"restore", "revision", "tables", "age"}


def test_an_old_backup_fails_where_an_age_is_given(shop: Shell) -> None:
    path = copy(shop)
    connection = sqlite3.connect(path)
    for table, column in [
        *[("events", "received_at"), ("messages", "decided_at"), ("consents", "at"), ("audit", "at")],
        *[("suppressions", "at"), ("inbox", "received_at"), ("messages", "sent_at")],
    ]:
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", [table]
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(f"UPDATE {table} SET {column} = {column} - 3 * 86400000000")
    connection.commit()
    connection.close()
    _, document, failed = verified(shop, path, "--age-max", "26h")
    assert "older than --age-max" in failed["age"]
    assert "3d" in failed["age"]
    assert document["age_seconds"] >= 3 * 86_400
    assert "age" not in verified(shop, path, "--age-max", "4d")[2]


def test_a_backup_of_the_release_before_is_migrated_privately(shop: Shell) -> None:
    path = copy(shop)
    database = open_database(f"sqlite:///{path}")
    before = migrations.downgrade(database, "-1")
    database.close()
    code, document, failed = verified(shop, path)
    assert (code, failed, document["revision"]) == (0, {}, before)
    assert f"migrating it to {migrations.HEAD} works" in str(document["checks"])


@pytest.mark.parametrize("form", [Path, packed(gzip.compress), dumped], ids=["plain", "gzip", "sql"])
def test_a_file_that_ends_early_fails(shop: Shell, form: Callable[[Path], Path]) -> None:
    path = form(copy(shop))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    code, document, failed = verified(shop, path)
    assert (code, bool(failed)) == (1, True)
    assert failed.keys() <= {"restore", "integrity"}
    assert document["rows"] == {}


def test_a_broken_page_is_found(shop: Shell) -> None:
    path = copy(shop)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(range(256)) * 16
    path.write_bytes(content)
    assert find_damage(path)
    assert "integrity" in verified(shop, path)[2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "no backup that nurture can restore"),
        (b"\x28\xb5\x2f\xfd1234", "unpack it first"),
        (b"--\n-- PostgreSQL database cluster dump\n--\n", "a dump of a whole server"),
    ],
)
def test_another_file_is_refused_in_one_line(shop: Shell, content: bytes, words: str) -> None:
    path = shop.folder / "other"
    path.write_bytes(content)
    assert tell_format(content) is None
    done = shop("backup", "verify", str(path))
    assert done.code == 2
    assert words in done.line()
    assert words in describe_unknown(content)


def test_a_file_or_option_that_cannot_be_used_is_named(shop: Shell) -> None:
    for words, reason in [
        (["nowhere.db"], "not there"),
        (["."], "a folder without toc.dat"),
        (["nurture.db"], "is the database in use"),
        (["backup.db", "--age-max", "soon"], "--age-max"),
        (["backup.db", "--folder", "nowhere"], "name a folder that can be written"),
    ]:
        copy(shop)
        done = shop("backup", "verify", *words)
        assert (done.code, reason in done.line()) == (2, True), done.err


def test_a_dump_of_sqlite_writes_into_no_other_file(shop: Shell) -> None:
    path = shop.folder / "bad.sql"
    path.write_text("PRAGMA foreign_keys=OFF;\nATTACH 'stolen.db' AS x;\nCREATE TABLE x.y (z);\nCOMMIT;\n")
    _, _, failed = verified(shop, path)
    assert "SQLite refuses a statement" in failed["restore"]
    assert not (shop.folder / "stolen.db").exists()


def test_the_filter_keeps_data_and_drops_owners_and_commands() -> None:
    text = (
        b"\\restrict abc\nCREATE TABLE a (b text);\nALTER TABLE a OWNER TO someone;\nGRANT ALL ON a TO b;\n"
        b"COPY a (b) FROM stdin;\n\\N\nGRANT x\n\\.\n--\n-- PostgreSQL database dump complete\n--\n"
    )
    parts = [text[at : at + 7] for at in range(0, len(text), 7)]
    assert b"".join(Filter("a.sql").lines(iter(parts))) == (
        b"CREATE TABLE a (b text);\nCOPY a (b) FROM stdin;\n\\N\nGRANT x\n\\.\n--\n"
        b"-- PostgreSQL database dump complete\n--\n"
    )
    with pytest.raises(Spoiled, match=r"a\.sql, line 1: a backslash"):
        list(Filter("a.sql").lines(iter([b"SELECT 1 \\! rm\n"])))
    with pytest.raises(Spoiled, match="ends early"):
        list(Filter("a.sql").lines(iter([text[:60]])))


@pytest.fixture
def server(nurture: Shell, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the URL of a database in which one person ordered, with PostgreSQL's programs on the PATH."""
    monkeypatch.setenv("PATH", str(client_programs()), prepend=os.pathsep)
    for name, value in {
        "DATABASE_URL": postgresql_url,
        "SECRET_KEY": SECRET,
        "SUPPRESSION_KEY": SECRET,
    }.items():
        nurture.set(name, value)
    assert nurture("migrate").code == 0
    nurture("track", "ann@example.com", "Order Completed", "-p", "order_id=1", "-p", "revenue=20")
    nurture.work()
    yield postgresql_url
    with psycopg.connect(postgresql_url) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'nurture_verify%'")
        assert left.fetchall() == []


def dump(url: str, path: Path, *words: str) -> Path:
    """Return the file that pg_dump writes."""
    subprocess.run(["pg_dump", f"--dbname={url}", f"--file={path}", *words], check=True)
    return path


def test_every_format_of_pg_dump_is_restored_and_gone_afterwards(nurture: Shell, server: str) -> None:
    for kind in ("custom", "tar", "directory", "plain"):
        path = dump(server, nurture.folder / kind, f"--format={kind}")
        code, document, failed = verified(nurture, path)
        assert (code, failed, document["rows"]["contacts"]) == (0, {}, 1), kind
    path = packed(gzip.compress)(nurture.folder / "plain")
    assert verified(nurture, path)[0] == 0


def test_a_dump_of_postgresql_that_ends_early_fails(nurture: Shell, server: str) -> None:
    for kind in ("custom", "plain"):
        path = dump(server, nurture.folder / kind, f"--format={kind}")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
        code, _, failed = verified(nurture, path)
        assert (code, list(failed)) == (1, ["restore"]), kind


def test_a_server_that_is_away_and_programs_that_are_missing_are_named(
    nurture: Shell, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dump(server, nurture.folder / "x.dump", "--format=custom")
    away = "postgresql://nobody:secret@127.0.0.1:1/postgres"
    done = nurture("backup", "verify", str(path), "--server", away)
    assert (done.code, "no private database can be made" in done.line(), "secret" in done.err) == (
        2,
        True,
        False,
    )
    monkeypatch.setenv("PATH", str(nurture.folder))
    done = nurture("backup", "verify", str(path))
    assert (done.code, "pg_restore is not on the PATH" in done.line()) == (2, True)
    nurture.set("DATABASE_URL", "sqlite:///nurture.db")
    done = nurture("backup", "verify", str(path))
    assert (done.code, "--server" in done.line()) == (2, True)
