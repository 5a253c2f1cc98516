"""An export opened in a spreadsheet computes nothing, whatever people call themselves."""

import csv
import json

import pytest

from nurture.app.files.tabular import escape_cell
from tests.cli.shell import Shell, nurture

__all__ = ["nurture"]

FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_would_compute_is_text(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["Ann = Bob", "a@b.example", "", 0, -5, 1.5, None])
def test_a_cell_that_computes_nothing_is_left_as_it_is(value: object) -> None:
    assert escape_cell(value) == ("" if value is None else value)


def test_every_column_of_every_export_is_safe(nurture: Shell) -> None:
    nurture.install()
    evil = '=HYPERLINK("http://evil.example";"x")'
    (nurture.folder / "rows.jsonl").write_text(
        json.dumps({"user_id": evil, "email": "=cmd@example.com", "message_id": "=m1", "order_id": "=o1",
                    "revenue": 5, "total": 5, "currency": "EUR", "event": "Order Completed"}) + "\n"
    )  # fmt: skip
    assert nurture("import", "rows.jsonl", "--json").document["rejected"] == 0
    nurture.work()
    seen = []
    for noun in ("contacts", "events", "messages"):
        lines = list(csv.reader(nurture("export", noun).out.splitlines()))
        assert len(lines) > 1, noun
        seen += [cell for line in lines[1:] for cell in line]
    assert any(cell.startswith("'=") for cell in seen)
    assert [cell for cell in seen if cell.startswith(("=", "+", "@"))] == []
