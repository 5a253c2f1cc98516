"""Write rows as CSV, safe to open in a spreadsheet, or as JSON lines."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

#: First characters that make a spreadsheet read a cell as a formula, full-width forms included (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


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
