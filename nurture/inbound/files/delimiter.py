"""Recognise the delimiter of a text file: the one that parts its header and its rows into the same number of cells."""

import csv
from collections.abc import Sequence
from typing import Final

from nurture.domain.cells.headers import field_of_header

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


def _place_of_header(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the header: the first row, unless titles of one cell stand above one that names a person."""
    for place, row in enumerate(rows):
        if any(field_of_header(cell) in ("email", "user_id") for cell in row):
            return place
        if sum(not cell.isspace() and cell != "" for cell in row) > 1:
            break
    return 0


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
    place = _place_of_header(rows)
    header, others = rows[place], rows[place + 1 :]
    same = sum(len(row) == len(header) for row in others)
    # The sample may end inside a record.
    if len(others) > 1 and same * 2 < len(others):
        return 0
    return len({name.strip() for name in header if name.strip()})
