"""Recognise the delimiter of a text file: the one that parts its header and its rows into the same number of cells."""

import csv
from collections.abc import Sequence
from typing import Final

_DELIMITERS: Final = (",", ";", "\t", "|")
_ROWS: Final = 50
#: Names of delimiters that are hard to type.
NAMES: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def detect_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter of the file's first lines; a comma for a file of one column."""
    best, names_of_best = ",", 1
    for delimiter in _DELIMITERS:
        names = _count_names(lines, delimiter)
        if names > names_of_best:
            best, names_of_best = delimiter, names
    return best


def _count_names(lines: Sequence[str], delimiter: str) -> int:
    """Return the number of distinct names in the header; 0 where most rows have another number of cells."""
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=delimiter)
    while len(rows) <= _ROWS:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            continue
        if any(cell.strip() for cell in row):
            rows.append(row)
    if not rows:
        return 0
    header, others = rows[0], rows[1:]
    same = sum(len(row) == len(header) for row in others)
    # The sample may end inside a record.
    if len(others) > 1 and same * 2 < len(others):
        return 0
    return len({name.strip() for name in header if name.strip()})
