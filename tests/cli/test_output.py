"""Tables for people: no fraction of a second, no markup of a value interpreted."""

import pytest

from nurture.cli.output import format_cell, print_fields, print_json


def test_a_table_shows_whole_seconds_and_json_the_instant(capsys: pytest.CaptureFixture[str]) -> None:
    at = "2026-11-30T15:51:18.126347Z"
    assert format_cell(at) == "2026-11-30T15:51:18Z"
    assert format_cell([at, "a 2026-11-30T15:51:18Z"]) == "2026-11-30T15:51:18Z, a 2026-11-30T15:51:18Z"
    assert format_cell("1.126347Z") == "1.126347Z"
    print_fields({"since": at, "name": "[bold]x"})
    assert "2026-11-30T15:51:18Z" in (shown := capsys.readouterr().out)
    assert "[bold]x" in shown
    print_json({"since": at})
    assert at in capsys.readouterr().out
