"""docs/reliability.md is true: every fault, guarantee and table has its row, every test it names exists."""

import re

from nurture.database import schema
from nurture.journey.personal_data import PERSONAL
from tests.architecture.sources import ROOT, functions
from tests.faults.mutations import MUTATIONS
from tests.faults.test_releases import CHANGES
from tests.journey.late_and_changed import CHANGE, LATE
from tests.journey.test_merges_and_erasures import ERASURE, MERGE, UNMERGE

_PAGE = ROOT / "docs/reliability.md"
#: The part with one row for each mechanism that was switched off.
_SWITCHED_OFF = re.compile(r"^## Switched off\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[[^]`]*\])?`")
#: As many as the list of faults has that this room was built from.
_ROWS = 54
_GUARANTEES = 20
#: The tests of the table of merges, erasures, late events and changes of address, in the order of its columns.
_HISTORIES = {
    "test_merge": MERGE,
    "test_unmerge": UNMERGE,
    "test_erasure": ERASURE,
    "test_late_event": LATE,
    "test_change_of_address": CHANGE,
}
#: Columns that name a person: a contact, an address or its hash, a name.
_NAMES_A_PERSON = re.compile(
    "contact_id|other_id|survivor|merged|email|phone|anonymous_id|(old_)?address(_hash)?"
)


def _rows(first: str) -> dict[str, str]:
    """Return number -> line of the table rows whose first cell is `first` and a number."""
    page = _SWITCHED_OFF.sub("## ", _PAGE.read_text(encoding="utf-8"))
    found = re.findall(rf"^\| ({first}\d+) (\|.*)$", page, re.MULTILINE)
    return dict(found)


def test_every_fault_and_every_guarantee_has_its_row() -> None:
    assert list(_rows("")) == [str(number) for number in range(1, _ROWS + 1)]
    assert list(_rows("G")) == [f"G{number}" for number in range(1, _GUARANTEES + 1)]


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    silent = [
        number
        for number, line in (_rows("") | _rows("G")).items()
        if not _TEST.search(line) and "cannot arise: " not in line and "open: " not in line
    ]
    assert silent == []


def test_of_every_guarantee_a_mechanism_is_switched_off_and_the_page_says_which() -> None:
    (part,) = _SWITCHED_OFF.findall(_PAGE.read_text(encoding="utf-8"))
    written = [line for line in part.splitlines() if re.match(r"\| G\d", line)]
    assert written == [mutation.row() for mutation in MUTATIONS]
    guarantees = {mutation.guarantee for mutation in MUTATIONS}
    assert guarantees == {f"G{number}" for number in range(1, _GUARANTEES + 1)}


def test_every_mechanism_that_is_switched_off_still_stands_in_the_code() -> None:
    for mutation in MUTATIONS:
        text = (ROOT / mutation.file).read_text(encoding="utf-8")
        assert mutation.applied(text) != text


def test_every_table_that_names_a_person_has_its_row_and_every_cell_its_test() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    (part,) = re.findall(r"^## Merges, erasures.*?\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE)
    naming = {
        table.name
        for table in schema.metadata.tables.values()
        if any(_NAMES_A_PERSON.fullmatch(column.name) for column in table.columns)
    }
    assert {table for table, _ in rows} == naming | PERSONAL.keys()
    assert len(rows) == len({table for table, _ in rows})
    for table, line in rows:
        cells = line.split(" | ")
        assert len(cells) == len(_HISTORIES), table
        for cell, (function, tests) in zip(cells, _HISTORIES.items(), strict=True):
            sentence, _, test = cell.rpartition(": ")
            assert sentence, table
            assert test == f"`tests/journey/test_merges_and_erasures.py::{function}[{table}]`"
            assert table in tests, test


def test_the_code_still_has_what_the_coming_release_changes() -> None:
    for file, before, _ in CHANGES:
        assert (ROOT / file).read_text(encoding="utf-8").count(before) == 1, (
            f"{file}: tests/faults/test_releases.py"
        )


def test_every_test_named_exists() -> None:
    named = set(_TEST.findall(_PAGE.read_text(encoding="utf-8")))
    missing = [f"{file}::{function}" for file, function in named if function not in functions(ROOT / file)]
    assert missing == []
