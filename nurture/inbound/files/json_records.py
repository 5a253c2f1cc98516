"""Records of a file of JSON lines: one object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from nurture.domain.errors import InputError
from nurture.inbound.files.encoding import check_encoding
from nurture.inbound.files.table import CELL_MAX, Fault, Record, Table, TableOptions


def open_json_lines(path: Path, options: TableOptions) -> Table:
    """Open a file of JSON lines as a table. Raises InputError when it cannot be read."""
    encoding = check_encoding(path, options.encoding or "utf-8-sig")
    return Table(path, "jsonl", (), lambda: _records(path, encoding), encoding=encoding.removesuffix("-sig"))


def _records(path: Path, encoding: str) -> Iterator[Record]:
    line = 0
    try:
        with path.open(encoding=encoding) as stream:
            for line, text in enumerate(stream, start=1):
                if text.strip():
                    yield _record(line, text)
    except (UnicodeError, OSError) as error:
        raise InputError(
            f"{path}:{line + 1}: cannot be read as {encoding}: {error}; save it as UTF-8"
        ) from error


def _record(line: int, text: str) -> Record:
    if len(text) > CELL_MAX:
        return Record(
            line, {}, text.rstrip("\n"), Fault("too_long", f"longer than {CELL_MAX} characters: shorten it")
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return Record(
            line, {}, text.rstrip("\n"), Fault("bad_shape", "not a JSON object: write one object a line")
        )
    return Record(
        line, {name: cell for name, cell in value.items() if cell is not None and cell != ""}, value
    )
