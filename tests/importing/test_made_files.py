"""Laws of every import, on made-up exports: nothing is dropped silently, and the form of a file changes nothing.

A few of each tool in every run, hundreds in `make fuzz`.
"""

import contextlib
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nurture.app.importing.row import Row
from nurture.app.importing.run import open_file
from nurture.domain.errors import InputError
from nurture.domain.instant import to_iso
from tests.importing.made_files import (
    NOTHING,
    REJECTED,
    TOOLS,
    UNREAD,
    Cell,
    Draws,
    MadeFile,
    encoded,
    make_people,
)
from tests.importing.test_exports import EXPORTS, NOW, OPTIONS
from tests.rig.examples import examples
from tests.scenarios.world import shipped

#: Forms in which spreadsheets and tools save one and the same table.
FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"delimiter": ";"},
    {"delimiter": "\t", "encoding": "utf-16"},
    {"newline": "\r\n", "encoding": "utf-8-sig"},
    {"delimiter": "|", "quoting": csv.QUOTE_ALL},
)
RANDOMS = st.randoms(use_true_random=False)
LONG = settings(max_examples=200, phases=(Phase.generate,), deadline=None)


def rows_of(path: Path, content: bytes, made: MadeFile) -> list[Row]:
    path.write_bytes(content)
    return list(open_file(path, made.options, shipped().playbook, now=NOW).rows())


def read_value(name: str, row: Row) -> Any:
    """Return what the import made of a field."""
    person = {identity.kind: identity.value for identity in row.events[0].identities}
    if name in ("email", "user_id", "phone"):
        return person.get(name)  # type: ignore[call-overload]
    if name == "consent_news":
        known = {consent.topic: consent.state for consent in row.consents}
        return known.get("news") or ("suppressed" if row.suppressions else "nothing")
    if name == "consent_at":
        return to_iso(row.consents[0].at)[:10] if row.consents else NOTHING
    return row.events[0].traits.get(name)


def assert_cell(row: Row, column: str, name: str, cell: Cell) -> None:
    """Check that a cell was read as it must be, or listed."""
    listed = {remark.column for remark in row.remarks if remark.is_unread}
    assert (column in listed) is (cell.value is UNREAD), (column, cell.text)
    if cell.value not in (UNREAD, NOTHING):
        assert read_value(name, row) in (cell.value, NOTHING), (column, cell.text)


def check_tool(tool: str, draws: Draws, path: Path) -> None:
    """Check that each record is accepted or rejected, each cell read or listed, and each form of the file equal."""
    made = make_people(tool, draws, draws.choice([1, 2, 12]))
    expected = rows_of(path, encoded(made.texts()), made)
    assert len(expected) == len(made.records)
    for row, record in zip(expected, made.records, strict=True):
        assert (row.rejection is not None) is any(cell.value is REJECTED for cell in record), row.rejection
        for (column, name), cell in zip(made.fields.items(), record, strict=True):
            if row.rejection is None:
                assert_cell(row, column, name, cell)
    for form in FORMS if tool != "chinese" else (*FORMS, {"encoding": "gb18030"}):
        rows = rows_of(path, encoded(made.texts(), **form), made)
        assert [(row.events, row.consents) for row in rows] == [
            (row.events, row.consents) for row in expected
        ], form
    backwards = rows_of(path, encoded([[*made.fields], *made.texts()[:0:-1]]), made)
    assert [row.events for row in backwards] == [row.events for row in expected[::-1]]


def check_hostile(draws: Draws, path: Path) -> None:
    """Check that a damaged file is read or refused with a sentence, and each of its records counted."""
    name = draws.choice([*OPTIONS])
    content = bytearray((EXPORTS / name).read_bytes())
    for _ in range(draws.randint(1, 6)):
        place = draws.randint(0, len(content))
        noise = [
            b"\x00",
            b'"',
            b"\r",
            b"\n",
            b"\x1a",
            b"\xe2\x80\xa8",
            b"\xff\xfe",
            b"x" * 40_000,
            b"=1+1|,;\t",
        ]
        content[place : place + draws.choice([0, 0, 1, 50])] = draws.choice([*noise, content[: place % 200]])
    path = path.with_name(name)
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        rows = list(open_file(path, OPTIONS[name], shipped().playbook, now=NOW).rows())
        assert_counted(rows)


def assert_counted(rows: Sequence[Row]) -> None:
    """Check that each row has its records, and either cells or a reason for its rejection."""
    for row in rows:
        assert row.records
        assert bool(row.rejection) is not bool(row.cells), row


@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=examples(6), deadline=None)
@given(RANDOMS)
def test_a_made_up_export_is_read_cell_by_cell(
    tool: str, tmp_path_factory: pytest.TempPathFactory, draws: Draws
) -> None:
    check_tool(tool, draws, tmp_path_factory.getbasetemp() / "made.csv")


@settings(max_examples=examples(20), deadline=None)
@given(RANDOMS)
def test_a_damaged_export_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, draws: Draws) -> None:
    check_hostile(draws, tmp_path_factory.getbasetemp() / "made.csv")


@pytest.mark.long
@pytest.mark.parametrize("tool", TOOLS)
@LONG
@given(RANDOMS)
def test_many_made_up_exports(tool: str, tmp_path_factory: pytest.TempPathFactory, draws: Draws) -> None:
    check_tool(tool, draws, tmp_path_factory.getbasetemp() / "made.csv")


@pytest.mark.long
@LONG
@given(RANDOMS)
def test_many_damaged_exports(tmp_path_factory: pytest.TempPathFactory, draws: Draws) -> None:
    check_hostile(draws, tmp_path_factory.getbasetemp() / "made.csv")
