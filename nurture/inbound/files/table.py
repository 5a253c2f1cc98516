"""A file as a table: its columns, and records of cells; the readers of every form give this."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from nurture.domain.cells.headers import field_of_header, normalize

FileForm = Literal["csv", "jsonl", "xlsx"]

#: Rows at the beginning of a file in which its header is looked for.
HEADER_ROWS: Final = 20
#: Characters of a cell; the inbox accepts no larger event.
CELL_MAX: Final = 32 * 1024
#: The column that files of rejected rows have more than the file itself; it is ignored when such a file comes in.
REASON_COLUMN: Final = "rejected_because"


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell that holds an error of a spreadsheet, as `#DIV/0!`."""

    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a record cannot be read: its class in the counts, and a sentence."""

    # bad_shape | too_long
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line on which it starts, its cells that are not empty, and the cells as they stand."""

    line: int
    # Column -> text, or in a workbook and in JSON a value.
    cells: Mapping[str, Any]
    raw: Sequence[Any] | Mapping[str, Any] | str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The form of a file as somebody names it; None: recognise it."""

    form: FileForm | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    # Columns by which a sheet of a workbook is recognised, besides those that name a person.
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Table:
    """An opened file. `records` may be called several times; each begins anew."""

    path: Path
    form: FileForm
    # Empty for JSON lines: each record names its own.
    header: Sequence[str]
    records: Callable[[], Iterator[Record]]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    # Sentences about how the file was read that somebody should see.
    notes: Sequence[str] = ()
    # Columns that the header names twice: they may not be used by name.
    doubled: frozenset[str] = frozenset()
    # The header as it stands, for a file of rejected rows.
    raw_header: Sequence[Any] = field(default=())
    # The line on which the header stands.
    header_line: int = 1


def above_header(line: int, first: int = 1) -> list[str]:
    """Return a sentence about the rows above the header. first: the row on which a header usually stands."""
    if line <= first:
        return []
    return [f"the columns are named in line {line}; what stands above it was left out"]


def names_a_person(cells: Sequence[Any], columns: Collection[str]) -> bool:
    """Tell whether a row of cells is a header: it names an address, a user id, or one of these columns."""
    names = [str(cell) for cell in cells if cell is not None]
    wanted = {normalize(column) for column in columns}
    return any(field_of_header(name) in ("email", "user_id") or normalize(name) in wanted for name in names)


def is_title(cells: Sequence[Any]) -> bool:
    """Tell whether a row has one cell at most, as a title above the header has."""
    return len([cell for cell in cells if cell is not None and str(cell).strip()]) <= 1


def name_columns(cells: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Return a name for each column, each once, and the names that stood twice; an empty one becomes `column_N`."""
    names: list[str] = []
    doubled: set[str] = set()
    for place, cell in enumerate(cells, start=1):
        name = " ".join(cell.strip("\ufeff").split()) or f"column_{place}"
        if name in names:
            doubled.add(name)
            name = f"{name}_{place}"
        names.append(name)
    return names, frozenset(doubled)
