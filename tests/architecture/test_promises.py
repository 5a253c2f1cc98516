"""docs/promises.md is true: one row for each promise, every command, test and file in it exists."""

import re
from typing import Any

import typer

from nurture.cli.root import app as command_line
from tests.architecture.sources import ROOT, functions

_PAGE = ROOT / "docs/promises.md"
#: How many promises each section has.
_PROMISES = {"A": 11, "B": 14, "C": 6, "D": 7, "E": 6}
_ROW = re.compile(r"^\| ([A-E]\d+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_STATES = ("kept", "partly; ", "not yet")


def _rows() -> list[tuple[str, list[str]]]:
    """Return (id, cells behind it) of every row, in order."""
    text = _PAGE.read_text(encoding="utf-8")
    return [(row[1], [cell.strip() for cell in row[2].split(" | ")]) for row in _ROW.finditer(text)]


def test_every_promise_has_exactly_one_row() -> None:
    promises = [
        f"{section}{number}" for section, count in _PROMISES.items() for number in range(1, count + 1)
    ]
    assert [promise for promise, _ in _rows()] == promises


def test_every_row_is_proved_or_says_what_is_missing() -> None:
    for promise, cells in _rows():
        assert len(cells) == 5, promise
        title, state, command, test, mechanism = cells
        assert title, promise
        assert state.startswith(_STATES), promise
        if state.startswith("not yet"):
            assert (command, test, mechanism) == ("", "", ""), promise
        else:
            assert command, promise
            assert _TEST.fullmatch(test), promise
            assert mechanism, promise


def test_every_command_exists() -> None:
    commands = {cells[2].strip("`") for _, cells in _rows()} - {""}
    assert commands
    for line in commands:
        program, *words = line.split()
        assert program == "nurture", line
        command: Any = typer.main.get_command(command_line)
        for word in words:
            assert word in getattr(command, "commands", {}), line
            command = command.commands[word]


def test_every_test_and_every_file_exists() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    for file, function in _TEST.findall(text):
        assert function in functions(ROOT / file), f"{file}::{function}"
    files = re.findall(r"`((?:nurture|workers|email_templates)/[\w/.]+)`", text)
    assert files
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_every_name_stands_in_the_file_that_it_is_said_to_be_in() -> None:
    missing = []
    for promise, (*_, mechanism) in _rows():
        file, *words = re.findall(r"`([^`]+)`", mechanism) or ["README.md"]
        text = (ROOT / file).read_text(encoding="utf-8")
        missing += [f"{promise}: {word} in {file}" for word in words if word.replace("FILE", "") not in text]
    assert missing == []
