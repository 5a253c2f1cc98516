"""Suppressions of other tools come in from CSV files and plain lists, and ours go out."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest

from nurture.app import contacts, privacy
from nurture.app.files.suppression_files import export_suppressions, import_suppressions
from nurture.app.services import Services
from nurture.app.suppressions import add, lift_suppressions, show
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.runtime.clock import ManualClock
from tests.web.live import NOW, a_contact, a_service

ADA = "ada@example.com"


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    return a_service(sqlite_database, clock=ManualClock(NOW))


def brought(services: Services, path: Path, *, dry_run: bool = False) -> dict[str, object]:
    return import_suppressions(
        services, path, scope="marketing", reason="unsubscribed", dry_run=dry_run, actor="cli:test"
    )


def reasons(services: Services, who: str) -> list[tuple[str, str, str]]:
    return [(row["of"], row["scope"], row["reason"]) for row in show(services, who)]


def test_a_csv_of_another_tool(services: Services, tmp_path: Path) -> None:
    a_contact(services.database, ADA)
    path = tmp_path / "list.csv"
    path.write_text(
        "Email Address,Reason,Note\nADA@example.com,Spam Report,x\nbob@example.com,bounced,\n"
        "eve@example.com,,\nnobody,,\ncleo@example.com,because,\n"
    )
    counted = brought(services, path, dry_run=True)
    assert (counted["accepted"], counted["rejected"], reasons(services, ADA)) == (3, 2, [])
    counted = brought(services, path)
    assert counted["suppressions"] == {"complaint": 1, "hard_bounce": 1, "unsubscribed": 1}
    # The owner of the address takes it along; an address that nobody has waits for its owner.
    assert reasons(services, ADA) == [
        ("address", "marketing", "complaint"),
        ("person", "marketing", "complaint"),
    ]
    assert reasons(services, "bob@example.com") == [("address", "all", "hard_bounce")]
    assert reasons(services, "eve@example.com") == [("address", "marketing", "unsubscribed")]
    with (tmp_path / "list.csv.rejected").open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0][-1] == "rejected_because"
    assert [row[0] for row in rows[1:]] == ["nobody", "cleo@example.com"]
    # The same file again adds nothing.
    brought(services, path)
    assert len(reasons(services, ADA)) == 2


def test_a_plain_list_and_what_is_no_list(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("bob@example.com\n\nnot an address\n")
    counted = brought(services, path)
    assert (counted["accepted"], counted["rejected"]) == (1, 1)
    (tmp_path / "other.csv").write_text("name,phone\nAda,1\n")
    with pytest.raises(InputError, match="no column with addresses"):
        brought(services, tmp_path / "other.csv")
    with pytest.raises(InputError, match="does not exist"):
        brought(services, tmp_path / "none.csv")


def test_a_suppression_of_an_operator_is_lifted_by_name_only_and_exported(services: Services) -> None:
    contact = a_contact(services.database, ADA)
    add(services, ADA, scope="all", because="her letter", actor="tom")
    assert reasons(services, f"contact:{contact}") == [("address", "all", "ops"), ("person", "all", "ops")]
    stream = io.StringIO()
    assert export_suppressions(services, stream, kind="csv", actor="tom") == 2
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert {(row["address"], row["contact"], row["reason"]) for row in rows} == {
        (ADA, "", "ops"),
        ("", str(contact), "ops"),
    }
    with pytest.raises(InputError, match="an operator cannot lift this"):
        lift_suppressions(services, ADA, because="x", actor="tom", reasons=["unsubscribed"])
    with pytest.raises(InputError, match="not suppressed for it"):
        lift_suppressions(services, ADA, because="x", actor="tom", reasons=["hard_bounce"])
    lift_suppressions(services, ADA, because="she wrote again", actor="tom", reasons=["ops"])
    assert reasons(services, ADA) == []


def since(services: Services, who: str) -> list[str]:
    return [row["since"] for row in show(services, who)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_in_every_form(services: Services, tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "list.csv"
    rows = [["Email", "Note", "Since"], ["jürgen@example.com", "é", "2026-03-01"], ["x", "ü", ""]]
    path.write_bytes("".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding))
    counted = brought(services, path)
    assert (counted["accepted"], counted["rejected"], counted["delimiter"]) == (1, 1, delimiter)
    assert since(services, "jürgen@example.com") == ["2026-03-01T00:00:00Z"]
    kept = (tmp_path / "list.csv.rejected").read_text("utf-8")
    assert kept.splitlines()[1] == delimiter.join(["x", "ü", "", "list.csv:3: no e-mail address"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        ("2026-03-01 12:30:00", "2026-03-01T12:30:00Z"),
        ("2026-03-01T12:30:00+02:00", "2026-03-01T10:30:00Z"),
        ("1772368200", "2026-03-01T12:30:00Z"),
        ("1772368200000", "2026-03-01T12:30:00Z"),
        ("", "2026-05-04T12:00:00Z"),
    ],
)
def test_the_date_of_a_suppression_is_kept(
    services: Services, tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"email,created_at\nbob@example.com,{text}\n")
    assert brought(services, path)["rejected"] == 0
    assert since(services, "bob@example.com") == [expected]


def test_each_refused_row_is_named_with_file_and_line(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "email,since,reason,scope\n"
        "a@example.com,45306,,\n"
        "\n"
        "b@example.com,0001-01-01,,\n"
        "c@example.com,2099-01-01,,\n"
        '"d@example.com","2026-03-01","because\nof this",\n'
        "e@example.com,,,some\n"
        "f@example.com,,,,,extra\n"
        "g@example.com\n"
    )
    counted = brought(services, path)
    date = "date: write it as 2026-03-01 or 2026-03-01T12:00:00Z"
    refused = [
        f"list.csv:2: {date}",
        f"list.csv:4: {date}",
        "list.csv:5: date: it lies in the future",
        "list.csv:6: reason: write unsubscribed, complaint, hard_bounce or ops",
        "list.csv:8: scope: write all or marketing",
        "list.csv:9: more cells than the header has",
    ]
    assert counted["refused"] == refused
    assert (counted["accepted"], counted["rejected"], counted["rows"]) == (1, 6, 7)
    with (tmp_path / "list.csv.rejected").open(newline="") as stream:
        assert [row[-1] for row in csv.reader(stream)][1:] == refused


def test_several_addresses_in_a_line_of_a_plain_list_are_all_taken(
    services: Services, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    path.write_text("bob@example.com;eve@example.com\ncleo@example.com\n")
    assert brought(services, path)["suppressions"] == {"unsubscribed": 3}
    assert reasons(services, "eve@example.com") == [("address", "marketing", "unsubscribed")]


def test_a_file_that_cannot_be_read_to_its_end_changes_nothing(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"email\n" + b"bob@example.com\n" * 2000 + b"j\x81rgen@example.com\n")
    with pytest.raises(InputError, match="Nothing was changed"):
        brought(services, path)
    assert reasons(services, "bob@example.com") == []
    assert not (tmp_path / "list.csv.rejected").exists()


def test_a_large_file_is_read_row_by_row(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(10_000)))
    tracemalloc.start()
    counted = brought(services, path, dry_run=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted["accepted"] == 10_000
    assert peak < 1_000_000, "bytes"


# ---- where suppressions are shown ------------------------------------------------------------------------


def test_a_person_is_shown_with_subject_reason_instant_and_source(services: Services) -> None:
    contact = a_contact(services.database, ADA)
    add(services, ADA, scope="all", because="her letter", actor="tom")
    rows = contacts.show(services, ADA)["suppressions"]
    assert [(row["of"], row["reason"], row["since"], row["source"]) for row in rows] == [
        ("address", "ops", "2026-05-04T12:00:00Z", "tom"),
        ("person", "ops", "2026-05-04T12:00:00Z", "tom"),
    ]
    exported = privacy.export_contact(services, f"contact:{contact}", actor="tom")["suppression_reasons"]
    assert {(row["subject"], row["reason"], row["source"]) for row in exported} == {
        ("you", "ops", "tom"),
        (ADA, "ops", "tom"),
    }
    assert all(row["at"].startswith("2026-05-04T12:00:00") for row in exported)
