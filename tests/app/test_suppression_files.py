"""Suppressions of other tools come in from CSV files and plain lists, and ours go out."""

import csv
import io
from pathlib import Path

import pytest

from nurture.app.services import Services
from nurture.app.suppression_files import export_suppressions, import_suppressions
from nurture.app.suppressions import add, lift_suppressions, show
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.runtime.clock import ManualClock
from tests.web.live import NOW, a_contact, a_service

ADA = "ada@example.com"


@pytest.fixture
def services(database: Database) -> Services:
    return a_service(database, clock=ManualClock(NOW))


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
