"""Group the records of a file by a key, in bounded memory: a spreadsheet may have parted the lines of an order."""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from nurture.app.importing.cells import as_text
from nurture.inbound.files.table import CellError, Fault, Record

_SCHEMA: Final = "CREATE TABLE records (place INTEGER PRIMARY KEY, key TEXT, record TEXT)"
_GROUPED: Final = """
    SELECT first, record FROM (SELECT key, min(place) AS first FROM records GROUP BY key) AS keys
    JOIN records USING (key) ORDER BY first, place
"""


def group_records(records: Iterable[tuple[str, Record]]) -> Iterator[list[Record]]:
    """Yield the records of each key together, keys in order of their first record. A key of "" groups nothing."""
    with tempfile.TemporaryDirectory(prefix="nurture-import-") as folder:
        connection = sqlite3.connect(Path(folder) / "records.db")
        try:
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA temp_store=FILE")
            connection.execute(_SCHEMA)
            connection.executemany(
                "INSERT INTO records VALUES (?, ?, ?)",
                (
                    (place, key or f"\x00{place}", _pack(record))
                    for place, (key, record) in enumerate(records)
                ),
            )
            connection.execute("CREATE INDEX by_key ON records (key)")
            rows = connection.execute(_GROUPED)
            for _, group in groupby(rows, key=lambda row: row[0]):
                yield [_unpack(text) for _, text in group]
        finally:
            connection.close()


def _pack(record: Record) -> str:
    fault = [record.fault.kind, record.fault.text] if record.fault else None
    raw: Any = record.raw
    if not isinstance(raw, str | dict):
        raw = [_plain(cell) for cell in raw]
    return json.dumps(
        [record.line, {name: _plain(cell) for name, cell in record.cells.items()}, raw, fault], default=str
    )


def _plain(cell: Any) -> Any:
    """Return a cell as text; an order's cells are read as text whatever the form of the file."""
    if isinstance(cell, CellError):
        return cell.text
    return cell if cell is None or isinstance(cell, str | list | dict) else as_text(cell).replace("T", " ")


def _unpack(text: str) -> Record:
    line, cells, raw, fault = json.loads(text)
    return Record(line, cells, raw, Fault(*fault) if fault else None)
