"""Write rejected records to FILE.rejected, in the form of the file and with one more column: why, and what to change.

The file can be corrected and imported; the column is ignored then.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from nurture.inbound.files.table import REASON_COLUMN, CellError, Record, Table


class RejectWriter(Protocol):
    """Writes rejected records."""

    def add(self, records: Sequence[Record], reason: str) -> None:
        """Write the records with the reason."""
        ...

    def close(self) -> str | None:
        """Finish the file and return its path; None, and no file, without a rejected record."""
        ...


def open_rejects(table: Table) -> RejectWriter:
    """Return the writer for rejected records of a file. It replaces the file of an earlier import."""
    path = Path(f"{table.path}.rejected")
    path.unlink(missing_ok=True)
    if table.form == "xlsx":
        return _WorkbookRejects(table, path)
    return _JsonRejects(table, path) if table.form == "jsonl" else _CsvRejects(table, path)


def why(table: Table, record: Record, reason: str) -> str:
    """Return `FILE:LINE: reason`."""
    return f"{table.path.name}:{record.line}: {reason}"


class _TextRejects:
    """A text file that is made when the first record comes."""

    def __init__(self, table: Table, path: Path) -> None:
        self._table, self._path = table, path
        self._stream: TextIO | None = None

    def close(self) -> str | None:
        """Close the file."""
        if self._stream is None:
            return None
        self._stream.close()
        return str(self._path)

    def _open(self) -> TextIO:
        encoding = self._table.encoding or "utf-8"
        self._stream = self._path.open("w", encoding=encoding, newline="", errors="replace")
        return self._stream


class _CsvRejects(_TextRejects):
    def add(self, records: Sequence[Record], reason: str) -> None:
        """Write the cells as they stand; too few are filled up, so that the reason stands in its column."""
        table, width = self._table, len(self._table.header)
        if self._stream is None:
            stream = self._open()
            if table.encoding == "utf-8":
                # Excel takes UTF-8 without this mark for its own code page.
                stream.write("\ufeff")
            self._writer = csv.writer(stream, delimiter=table.delimiter)
            has_column = list(table.raw_header)[-1:] == [REASON_COLUMN]
            self._writer.writerow([*table.raw_header[: -1 if has_column else None], REASON_COLUMN])
            self._width = width - 1 if has_column else width
        for record in records:
            cells = [record.raw] if isinstance(record.raw, str) else list(record.raw)
            if len(cells) > self._width and len(cells) == width:
                cells = cells[: self._width]
            cells += [""] * (self._width - len(cells))
            self._writer.writerow([*cells, why(table, record, reason)])


class _JsonRejects(_TextRejects):
    def add(self, records: Sequence[Record], reason: str) -> None:
        """Write each object with one more name; what is no object stands under `line`."""
        stream = self._stream or self._open()
        for record in records:
            value = {"line": record.raw} if isinstance(record.raw, str) else dict(record.raw)  # type: ignore[arg-type]
            value[REASON_COLUMN] = why(self._table, record, reason)
            stream.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


class _WorkbookRejects:
    def __init__(self, table: Table, path: Path) -> None:
        self._table, self._path = table, path
        self._book: Any = None

    def add(self, records: Sequence[Record], reason: str) -> None:
        """Write the cells with their values, so that dates stay dates."""
        if self._book is None:
            from openpyxl import Workbook  # noqa: PLC0415 - it loads numpy where that is installed

            self._book = Workbook(write_only=True)
            self._sheet = self._book.create_sheet(self._table.sheet[:31] or "rejected")
            header = [cell for cell in self._table.raw_header if cell != REASON_COLUMN]
            self._width = len(header)
            self._sheet.append([*header, REASON_COLUMN])
        for record in records:
            raw = [record.raw] if isinstance(record.raw, str) else list(record.raw)
            cells = [self._cell(value) for value in raw[: self._width]]
            cells += [None] * (self._width - len(cells))
            self._sheet.append([*cells, self._cell(why(self._table, record, reason))])

    def _cell(self, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

        if isinstance(value, CellError):
            value = value.text
        cell = WriteOnlyCell(self._sheet, value=None if value is None else value)
        if isinstance(value, str):
            # A text that begins with = is no formula.
            cell.data_type = "s"
        return cell

    def close(self) -> str | None:
        """Save the workbook."""
        if self._book is None:
            return None
        # openpyxl chooses the form by the ending.
        with self._path.open("wb") as stream:
            self._book.save(stream)
        return str(self._path)
