"""Records of a text file with a delimiter. A record that cannot be read costs that record alone."""

import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from nurture.domain.errors import InputError
from nurture.inbound.files.delimiter import NAMES, detect_delimiter
from nurture.inbound.files.encoding import GUESSED, check_encoding, detect_encoding, find_foreign_word
from nurture.inbound.files.table import (
    CELL_MAX,
    HEADER_ROWS,
    Fault,
    Record,
    Table,
    TableOptions,
    above_header,
    is_title,
    name_columns,
    names_a_person,
)

#: Characters of one cell before a quote counts as never closed.
_FIELD_MAX: Final = 4 * CELL_MAX
_SAMPLE_LINES: Final = 200
_SAMPLE_CHARACTERS: Final = 1 << 18
#: UTF-8 that was read as Windows-1252 and written again.
_TWICE_ENCODED: Final = ("Ã¼", "Ã¶", "Ã¤", "ÃŸ", "Ã©", "Ã¨", "â€™", "Â ")


def open_csv(path: Path, options: TableOptions) -> Table:
    """Open a text file as a table. Raises InputError for a file that cannot be read, or has no header."""
    encoding = check_encoding(path, options.encoding) if options.encoding else detect_encoding(path)
    is_guess = options.encoding is None and encoding in GUESSED
    lines, skipped, named = _sample(path, encoding)
    delimiter = _check_delimiter(options.delimiter) or named or detect_delimiter(lines)
    header_line, cells = _find_header(_Lines(iter(lines), skipped), delimiter, options.columns)
    if isinstance(cells, Fault):
        message = f"{path}:{header_line}: {cells.text}; the first line must name the columns"
        raise InputError(message)
    header, doubled = name_columns(cells)

    def records() -> Iterator[Record]:
        with path.open(encoding=encoding, newline="") as stream:
            yield from _records(stream, path, header, delimiter, header_line)

    return Table(
        path,
        "csv",
        header,
        records,
        encoding=encoding.removesuffix("-sig"),
        delimiter=delimiter,
        notes=[
            *(_guess_note(path, encoding) if is_guess else ()),
            *above_header(header_line, 1 + skipped),
            *_notes(lines),
        ],
        doubled=doubled,
        raw_header=cells,
        header_line=header_line,
    )


def _sample(path: Path, encoding: str) -> tuple[list[str], int, str | None]:
    """Return the first lines, how many lines stand before them, and the delimiter that `sep=;` names."""
    try:
        with path.open(encoding=encoding, newline="") as stream:
            lines = list(islice(stream, _SAMPLE_LINES))
    except (UnicodeError, OSError) as error:
        raise InputError(_unreadable(path, encoding, error)) from error
    size = 0
    for place, line in enumerate(lines):
        size += len(line)
        if size > _SAMPLE_CHARACTERS and place:
            lines = lines[:place]
            break
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].rstrip("\r\n")) == 5:
        return lines[1:], 1, lines[0][4]
    return lines, 0, None


def _check_delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    delimiter = NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '\r\n"' or delimiter.isalnum():
        raise InputError(f"--delimiter {text}: write one character, for example ; or tab")
    return delimiter


def _guess_note(path: Path, encoding: str) -> Iterator[str]:
    if word := find_foreign_word(path, encoding):
        yield f"read as {encoding}, for example {word[:40]}: where that is wrong, add --encoding"


def _notes(lines: Sequence[str]) -> list[str]:
    text = "".join(lines)
    if any(mark in text for mark in _TWICE_ENCODED):
        return ["umlauts or accents look encoded twice (`Ã¼` for `ü`): export the file again as UTF-8"]
    return []


def _unreadable(path: Path, encoding: str, error: Exception) -> str:
    return f"{path}: cannot be read as {encoding}: {error}; name another --encoding, or save it as UTF-8"


class _Lines:
    """The lines of a file, of which a reader may give some back. `place`: how many have been taken."""

    def __init__(self, lines: Iterator[str], place: int) -> None:
        self._lines = lines
        self._returned: deque[str] = deque()
        self.place = place
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.place += 1
        self.taken.append(line)
        return line

    def give_back_all_but_first(self) -> None:
        """Read the lines of the present record again, without its first one."""
        lines = self.taken[1:]
        self._returned.extendleft(reversed(lines))
        self.place -= len(lines)
        del self.taken[1:]


def _read(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield (line, cells or fault) of every record that is not blank.

    Where a quote is never closed, only its first line is given up: the lines after it are read anew.
    """
    csv.field_size_limit(_FIELD_MAX)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.place + 1
        lines.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_back_all_but_first()
            # The reader keeps what it read of the broken record.
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            yield line, _fault_in(error)
            continue
        if any(cell and not cell.isspace() for cell in cells):
            yield line, cells


def _find_header(lines: _Lines, delimiter: str, columns: Collection[str]) -> tuple[int, list[str] | Fault]:
    """Return the first row that names a person, else the first row: titles may stand above the header."""
    first: tuple[int, list[str] | Fault] = lines.place + 1, Fault("bad_shape", "the file is empty")
    for place, (line, cells) in enumerate(islice(_read(lines, delimiter), HEADER_ROWS)):
        first = first if place else (line, cells)
        if isinstance(cells, Fault):
            break
        if names_a_person(cells, columns):
            return line, cells
        if not is_title(cells):
            break
    return first


def _fault_in(error: csv.Error) -> Fault:
    if "field limit" in str(error):
        return Fault(
            "too_long", f"a cell is longer than {_FIELD_MAX} characters: shorten it, or close its quotes"
        )
    return Fault("bad_shape", f"not CSV: {error}: put the cell into quotes, and double those inside it")


def _records(
    stream: TextIO, path: Path, header: Sequence[str], delimiter: str, header_line: int
) -> Iterator[Record]:
    lines = _Lines(iter(stream), 0)
    for _ in range(header_line - 1):
        next(lines)
    records = _read(lines, delimiter)
    next(records)
    width = len(header)
    try:
        for line, cells in records:
            if isinstance(cells, Fault):
                yield Record(line, {}, lines.taken[0].rstrip("\r\n"), cells)
                continue
            fault = _fault_of(cells, width)
            row = (
                {}
                if fault
                else {
                    name: cell
                    for name, cell in zip(header, cells, strict=False)
                    if cell and not cell.isspace()
                }
            )
            yield Record(line, row, cells, fault)
    except (UnicodeError, OSError) as error:
        raise InputError(
            f"{path}:{lines.place + 1}: {error}; name another --encoding, or save it as UTF-8"
        ) from error


def _fault_of(cells: Sequence[str], width: int) -> Fault | None:
    if len(cells) != width and (len(cells) < width or any(cell.strip() for cell in cells[width:])):
        text = f"{len(cells)} cells where the header has {width}: put cells that contain the delimiter into quotes"
        return Fault("bad_shape", text)
    if any(len(cell) > CELL_MAX for cell in cells):
        return Fault("too_long", f"a cell is longer than {CELL_MAX} characters: shorten it")
    return None
