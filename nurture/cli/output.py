"""Printing: a table for people, one JSON document (or JSON lines) for machines."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nurture.domain.errors import UserError


def console() -> Console:
    """Return the console for people; wide enough in a pipe that no table is cut."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    Console(stderr=True, highlight=False).print(Text(text))


def text(value: str) -> None:
    """Print a sentence."""
    console().print(Text(value))


def document(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def private_file(path: Path, value: Any) -> None:
    """Write one JSON document to a new file that only its owner can read. Raises UserError when there is one."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}; name a new file"
        raise UserError(message) from error
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def lines(values: Iterable[Any]) -> None:
    """Print JSON lines."""
    for value in values:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "", empty: str = "none"
) -> None:
    """Print rows as a table; text is shown as it is, never read as markup."""
    if not rows:
        console().print(Text(f"{title}: {empty}" if title else empty))
        return
    shown = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        right = any(
            isinstance(row.get(name), int | float) and not isinstance(row.get(name), bool) for row in rows
        )
        shown.add_column(name.replace("_", " "), justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell(row.get(name))) for name in columns))
    console().print(shown)


def cell(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(part) for part in value)
    return str(value)


def pairs(value: Mapping[str, Any], *, title: str = "") -> None:
    """Print names and values, one a line."""
    shown = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, part in value.items():
        shown.add_row(Text(name.replace("_", " ")), Text(cell(part)))
    console().print(shown)
