"""Printing: tables for people, one JSON document (or JSON lines) for machines."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nurture.domain.errors import UserError

#: An instant; and one with a fraction of a second, which people do not read; `--json` keeps it.
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_FRACTION: Final = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{1,6}Z")


def print_result(value: Mapping[str, Any], *, as_json: bool, title: str = "") -> None:
    """Print one result: as a JSON document, or as names and values under a title."""
    if as_json:
        print_json(value)
    else:
        print_fields(value, title=title)


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    title: str = "",
    empty: str = "none",
) -> None:
    """Print rows: all of them as one JSON document, or the named columns as a table."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, title=title, empty=empty)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(_as_document(value))


def print_json_lines(values: Iterable[Any]) -> None:
    """Print one JSON value a line."""
    for value in values:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def with_local_times(value: Any, zone: ZoneInfo) -> Any:
    """Return a value of JSON in which each instant that is a text by itself stands in local time, with its zone."""
    from nurture.domain.cells.shown_facts import show_local
    from nurture.domain.instant import parse_iso

    if isinstance(value, Mapping):
        return {name: with_local_times(part, zone) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [with_local_times(part, zone) for part in value]
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return show_local(parse_iso(value), zone)
    return value


def print_text(value: str) -> None:
    """Print a sentence."""
    _console().print(Text(value))


def print_notice(text: str) -> None:
    """Print a line on standard error, so that it does not mix with the result."""
    Console(stderr=True, highlight=False).print(Text(text))


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "", empty: str = "none"
) -> None:
    """Print rows as a table. Rich markup inside the values is not interpreted."""
    if not rows:
        print_text(f"{title}: {empty}" if title else empty)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        right = any(
            isinstance(row.get(name), int | float) and not isinstance(row.get(name), bool) for row in rows
        )
        table.add_column(name.replace("_", " "), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(format_cell(row.get(name))) for name in columns))
    _console().print(table)


def print_fields(value: Mapping[str, Any], *, title: str = "") -> None:
    """Print names and values, one a line."""
    table = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, part in value.items():
        table.add_row(Text(name.replace("_", " ")), Text(format_cell(part)))
    _console().print(table)


def format_cell(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_cell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(format_cell(part) for part in value)
    return _FRACTION.sub(r"\1Z", str(value))


def megabytes_printer(words: str) -> Callable[[int], None]:
    """Return a function that prints a number of bytes as megabytes on a terminal, over its last line."""

    def print_progress(read: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{read / 1e6:.0f} MB {words}")
            sys.stderr.flush()

    return print_progress


def people_printer(*, as_json: bool) -> Callable[[int, int], None]:
    """Return a function that prints how many people of how many are done on a terminal, over its last line."""

    def print_progress(done: int, total: int) -> None:
        if not as_json and sys.stderr.isatty():
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{done:,} of {total:,} people{end}")
            sys.stderr.flush()

    return print_progress


def write_private_file(path: Path, value: Any) -> None:
    """Write one JSON document to a new file that only its owner can read; raises as `write_private_text`."""
    write_private_text(path, _as_document(value))


def write_private_text(path: Path, text: str) -> None:
    """Write a new file that only its owner can read.

    Raises UserError when the file exists already or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}; name a new file"
        raise UserError(message) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _as_document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n"


def _console() -> Console:
    """Return the console for standard output. In a pipe it is wide enough that no table is cut."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)
