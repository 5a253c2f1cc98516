"""Records of a sheet of an Excel workbook, streamed.

Dates come as dates, whole numbers without `.0`, numbers whose format is only noughts (a postcode) with theirs, formulas
by the value that was saved, errors as errors. A file that unpacks to more than a bound is refused: it may be made to
fill the memory.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final, Self
from zipfile import BadZipFile, ZipFile

from nurture.domain.errors import InputError
from nurture.inbound.files.table import (
    CELL_MAX,
    HEADER_ROWS,
    CellError,
    Fault,
    Record,
    Table,
    TableOptions,
    above_header,
    is_title,
    name_columns,
    names_a_person,
)

#: Bytes of all parts of a workbook when unpacked, and of its texts, which are kept in memory.
_UNPACKED_MAX: Final = 2 << 30
_TEXTS_MAX: Final = 256 << 20
_COLUMNS_MAX: Final = 1_000
_NOUGHTS: Final = re.compile(r"0{2,20}")
#: Digits that a spreadsheet keeps of a number.
_DIGITS_MAX: Final = 10**15


def open_xlsx(path: Path, options: TableOptions) -> Table:
    """Open a sheet as a table: the named one, else the first visible one with a column that names a person.

    Raises InputError for a workbook that cannot be read or has no such sheet.
    """
    _check_size(path)
    place: tuple[str, int, list[Any]] | None = None
    with _Workbook(path) as workbook:
        visible = [sheet.title for sheet in workbook.sheets() if sheet.sheet_state == "visible"]
        wanted = visible if options.sheet is None else [options.sheet]
        if options.sheet is not None and options.sheet not in workbook.titles():
            raise InputError(f"--sheet {options.sheet}: the workbook has the sheets {', '.join(visible)}")
        for title in wanted:
            header_row = _find_header(workbook, title, options)
            if header_row is not None:
                place = (title, *header_row)
                break
    if place is None:
        message = (
            f"{path}: no sheet has a row that names an address column; "
            f"it has {', '.join(visible)}: choose with --sheet NAME and --map COLUMN=email"
        )
        raise InputError(message)
    sheet, line, cells = place
    header, doubled = name_columns([str(cell) if cell is not None else "" for cell in cells])
    return Table(
        path,
        "xlsx",
        header,
        lambda: _records(path, sheet, header, line),
        sheet=sheet,
        notes=[*_sheet_note(sheet, visible), *above_header(line)],
        doubled=doubled,
        raw_header=cells,
        header_line=line,
    )


def _sheet_note(sheet: str, visible: Sequence[str]) -> list[str]:
    return [f"the sheet {sheet} was read; the workbook has {', '.join(visible)}"] if len(visible) > 1 else []


def _check_size(path: Path) -> None:
    """Refuse a file that is no workbook, or unpacks to more than the bounds. Raises InputError."""
    try:
        with ZipFile(path) as archive:
            parts = {part.filename: part.file_size for part in archive.infolist()}
            if "[Content_Types].xml" not in parts:
                raise InputError(
                    f"{path}: this is no workbook; unpack the archive and import the files in it"
                )
            is_hostile = any(_declares_entities(archive, name) for name in parts if name.endswith(".xml"))
    except (BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: the workbook is damaged: {error}; save it again as .xlsx") from error
    texts = sum(size for name, size in parts.items() if name.endswith("sharedStrings.xml"))
    if is_hostile or sum(parts.values()) > _UNPACKED_MAX or texts > _TEXTS_MAX:
        raise InputError(f"{path}: the workbook unpacks to too much; save the sheet as CSV and import that")


def _declares_entities(archive: ZipFile, name: str) -> bool:
    with archive.open(name) as part:
        return b"<!DOCTYPE" in part.read(4096)


class _Workbook:
    """A workbook that is read sheet by sheet and row by row."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        from openpyxl import load_workbook  # noqa: PLC0415 - it loads numpy where that is installed

        try:
            with warnings.catch_warnings():
                # It warns of styles and extensions that no import reads.
                warnings.simplefilter("ignore")
                self._workbook = load_workbook(self._path, read_only=True, data_only=True)
        except Exception as error:
            message = f"{self._path}: the workbook cannot be read: {error}; save it again as .xlsx"
            raise InputError(message) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._workbook.close()

    def sheets(self) -> Sequence[Any]:
        """Return the sheets of cells, in order."""
        sheets: Sequence[Any] = self._workbook.worksheets
        return sheets

    def titles(self) -> list[str]:
        """Return the names of all sheets of cells."""
        return [sheet.title for sheet in self.sheets()]

    def rows(self, title: str) -> Iterator[tuple[int, list[Any]]]:
        """Yield (row number, values) of the sheet's rows that are not blank. Raises InputError."""
        (sheet,) = (sheet for sheet in self.sheets() if sheet.title == title)
        # The size that the file states may be wrong; then rows would be missing.
        sheet.reset_dimensions()
        number = 0
        try:
            for number, row in enumerate(sheet.iter_rows(max_col=_COLUMNS_MAX), start=1):
                values = [_value(cell) for cell in row]
                if any(value is not None for value in values):
                    yield number, values
        except InputError:
            raise
        except Exception as error:
            message = (
                f"{self._path}: sheet {title}, row {number + 1}: {error}; save the workbook again as .xlsx"
            )
            raise InputError(message) from error


def _value(cell: Any) -> Any:
    """Return the value of a cell as a text, a number, a date or an error; None for a blank one."""
    value = cell.value
    if value is None:
        return None
    if isinstance(value, str):
        if getattr(cell, "data_type", "") == "e":
            return CellError(value)
        return value if value.strip() else None
    if isinstance(value, bool | datetime | date | time):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _DIGITS_MAX:
        value = int(value)
    if isinstance(value, int) and _NOUGHTS.fullmatch(str(cell.number_format or "")):
        return str(value).zfill(len(cell.number_format))
    return value


def _find_header(workbook: _Workbook, title: str, options: TableOptions) -> tuple[int, list[Any]] | None:
    """Return the row that names a person; without one the first row of a sheet that was asked for."""
    first: tuple[int, list[Any]] | None = None
    for number, values in workbook.rows(title):
        if number > HEADER_ROWS:
            break
        while values and values[-1] is None:
            values.pop()
        if names_a_person(values, options.columns):
            return number, values
        first = first or (number, values)
        if not is_title(values):
            break
    return first if options.sheet else None


def _records(path: Path, title: str, header: Sequence[str], header_line: int) -> Iterator[Record]:
    width = len(header)
    with _Workbook(path) as workbook:
        for number, values in workbook.rows(title):
            if number <= header_line:
                continue
            fault = _fault_of(values, width)
            row = (
                {}
                if fault
                else {name: value for name, value in zip(header, values, strict=False) if value is not None}
            )
            yield Record(number, row, values, fault)


def _fault_of(values: Sequence[Any], width: int) -> Fault | None:
    if any(value is not None for value in values[width:]):
        return Fault(
            "bad_shape", "a cell stands beyond the last column that the header names: name the column"
        )
    if any(isinstance(value, str) and len(value) > CELL_MAX for value in values):
        return Fault("too_long", f"a cell is longer than {CELL_MAX} characters: shorten it")
    return None
