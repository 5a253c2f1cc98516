"""Read and write rows of CSV and JSON-lines files as streams; each row knows its line."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from nurture.domain.errors import InputError

#: Largest cell and JSON line; the inbox accepts no larger event.
_CELL_MAX = 32 * 1024
#: First characters that make a spreadsheet read a cell as a formula, full-width forms included (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TEXT_COLUMNS = ("id", "phone", "zip", "postcode", "postal_code", "sku", "version")


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row: the line it starts on (from 1) and its cells, or the fault for which it cannot be read."""

    line: int
    cells: Mapping[str, Any]
    raw: str
    fault: str = ""


def read_rows(path: Path, kind: str) -> Iterator[FileRow]:
    """Yield the rows of a file. kind: `csv` or `jsonl`. A row that cannot be read has a fault and no cells.

    Raises InputError when the file itself cannot be read as that kind.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from (_csv_rows(stream, path) if kind == "csv" else _json_rows(stream))
    except FileNotFoundError as error:
        message = f"{path}: the file does not exist"
        raise InputError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as UTF-8 text: {error}"
        raise InputError(message) from error


def _csv_rows(stream: TextIO, path: Path) -> Iterator[FileRow]:
    csv.field_size_limit(_CELL_MAX)
    reader = csv.reader(stream, strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        message = f"{path}:1: not CSV: {error}"
        raise InputError(message) from error
    if not header or len(set(header)) != len(header):
        message = f"{path}:1: the first line must name the columns, each once"
        raise InputError(message)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(line, {}, "", f"not CSV: {error}")
            continue
        if not cells:
            continue
        raw = json.dumps(cells, ensure_ascii=False)
        if len(cells) != len(header):
            yield FileRow(line, {}, raw, f"{len(cells)} cells where the header has {len(header)}")
            continue
        row = zip(header, cells, strict=True)
        yield FileRow(line, {name: parse_cell(name, cell) for name, cell in row if cell != ""}, raw)


def _json_rows(stream: TextIO) -> Iterator[FileRow]:
    for line, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        raw = text.rstrip("\n")[:_CELL_MAX]
        try:
            value = json.loads(text) if len(text) <= _CELL_MAX else None
        except (ValueError, RecursionError):
            yield FileRow(line, {}, raw, "not JSON; each line holds one JSON object")
            continue
        if isinstance(value, dict):
            yield FileRow(line, value, raw)
        else:
            reason = f"longer than {_CELL_MAX} characters" if value is None else "not a JSON object"
            yield FileRow(line, {}, raw, reason)


def parse_cell(name: str, cell: str) -> Any:
    """Return the value of a cell: true or false, a number in its canonical form, else text.

    Ids, phone numbers and postcodes stay text, so `00123` keeps its leading zeros.
    """
    lowered = cell.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    last = name.lower()
    if last in _TEXT_COLUMNS or last.endswith("_id"):
        return cell
    for convert in (int, float):
        try:
            value = convert(cell)
        except ValueError:
            continue
        if repr(value) == cell or (convert is float and _is_plain_decimal(cell)):
            return value
    return cell


def _is_plain_decimal(cell: str) -> bool:
    whole, point, part = cell.lstrip("-").partition(".")
    usual = whole == "0" or not whole.startswith("0")
    return point == "." and whole.isdigit() and part.isdigit() and usual and len(cell) <= 15


def write_rows(stream: TextIO, rows: Iterator[Mapping[str, Any]], columns: Sequence[str], kind: str) -> int:
    """Write rows as CSV (safe to open in a spreadsheet) or JSON lines; returns how many."""
    written = 0
    if kind == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            written += 1
        return written
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([escape_cell(row.get(name)) for name in columns])
        written += 1
    return written


def escape_cell(value: Any) -> Any:
    """Return the cell so that no spreadsheet reads it as a formula."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
