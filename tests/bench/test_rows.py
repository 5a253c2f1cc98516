"""Each row of `make bench` runs, at a tiny scale, and prints its fields. No time is checked here, nor any rate."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import growth, scale, table
from bench.__main__ import ROWS
from bench.crowd import Crowds
from bench.pace import pace_ms
from bench.picture import Line, chart
from bench.sizes import table_sizes
from bench.stage import Figure
from bench.table import Book, lines_of
from tests.rig.postgres import Postgres

#: Rows that take seconds even so: `pytest -m long tests/bench` runs them. The peer is fetched as a package: only
#: `make bench` does that.
_QUICK = ("ingest",)
_ELSEWHERE = ("peers", "memory")
_SLOW = tuple(name for name in ROWS if name not in {*_QUICK, *_ELSEWHERE})


@pytest.fixture(scope="module")
def crowds(postgres: Postgres) -> Iterator[Crowds]:
    """Give crowds of a small cast."""
    made = Crowds(postgres, cast=4, days=3)
    yield made
    made.drop()


@pytest.mark.parametrize("name", [*_QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in _SLOW)])
def test_a_row_runs_and_prints_its_fields(name: str, postgres: Postgres, crowds: Crowds) -> None:
    figures = ROWS[name](postgres, crowds, 0.002)
    assert figures
    for figure, line in zip(figures, lines_of(figures), strict=True):
        assert figure.value > 0 or name == "plans"
        assert line.startswith(f"{figure.row}: ")
        assert figure.what in line
        assert figure.unit in line


def test_every_row_is_run_here_or_said_to_run_elsewhere() -> None:
    assert {*_QUICK, *_SLOW, *_ELSEWHERE} == set(ROWS)


def test_a_ratio_is_one_where_we_are_as_fast_as_the_floor_and_smaller_where_we_are_slower() -> None:
    rate = Figure("r", "w", 50, "events/s", floor=100, at_least=60, ratio_at_least=0.4)
    assert (rate.ratio, rate.is_met, rate.must) == (0.5, False, "0.4 and 60 events/s")
    time = Figure("t", "w", 2.0, "s", floor=1.0, at_most=4)
    assert (time.ratio, time.is_met, time.must) == (0.5, True, "under 4 s")
    assert Figure("n", "w", 1, "s").is_met is None


def test_the_table_names_command_commit_and_machine() -> None:
    book = Book()
    figure = Figure("ingest", "some work", 1234.5, "events/s", floor=2000)
    book.put("ingest", [figure], scale=0.5, seconds=3, pace_ms=2.04)
    text = book.markdown()
    assert "| ingest | some work | 1,234 events/s | 2,000 | 0.62 |" in text
    assert 'make bench ROW=ingest ARGS="--scale 0.5"' in text
    assert book.rows["ingest"]["commit"] in text
    assert "cores, fixed loop 2.0 ms, load " in text


def test_the_pace_of_the_machine_is_that_of_a_loop_that_works() -> None:
    # Forty thousand turns take no machine a hundredth of a millisecond, and none that can run this a second.
    assert 0.01 < pace_ms() < 1_000


def test_text_written_by_hand_stays_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.table._KEPT", tmp_path / "kept.json")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table._BEGIN}\nold\n{table._END}\nafter\n")
    book = Book()
    for value in (1.0, 2.0):
        book.put("ingest", [Figure("ingest", "w", value, "events/s")], scale=1, seconds=1, pace_ms=2)
        book.write(page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| ingest | w | 2 events/s |") == 1
    assert "1 events/s" not in text


def test_sizes_and_the_picture_of_growth_stand_under_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.table._KEPT", tmp_path / "kept.json")
    monkeypatch.setattr("bench.table.SIZES_KEPT", tmp_path / "sizes.json")
    monkeypatch.setattr("bench.growth._PICTURE", tmp_path / "growth.svg")
    size = {
        "bytes_a_row": 910.0,
        "index_bytes_a_row": 136.0,
        "bytes_a_million": 2.0**30,
        "bytes_a_million_a_year": 0.0,
    }
    (tmp_path / "sizes.json").write_text(json.dumps({"contacts": size}))
    growth.keep([growth.Costs(10, {"ingest": 5.0}), growth.Costs(1000, {"ingest": 6.0})])
    Book().write(tmp_path / "page.md")
    assert "| `contacts` | 910 | 136 | 1 | 0 |" in (tmp_path / "page.md").read_text()
    assert "ingest" in (tmp_path / "growth.svg").read_text()


def test_measured_figures_are_scaled_to_a_hundred_million_people() -> None:
    a_row = {"rows": 10.0, "each": 1.0, "index_bytes_a_row": 1.0, "contents_bytes_a_row": 0.0}
    sizes = {
        "contacts": a_row | {"bytes_a_row": 1_000.0},
        "identities": a_row | {"bytes_a_row": 100.0, "each": 2.0},
        "events": a_row | {"bytes_a_row": 400.0},
        "messages": a_row | {"bytes_a_row": 5_000.0, "contents_bytes_a_row": 3_650.0},
    }
    text = scale.sizes_section(sizes)
    assert "| people | `contacts` 1,000 (1) · `identities` 100 (2) | **1.20 kB a person** |" in text
    assert "| stays | 1.2 GB | 120.0 GB |" in text
    assert "| a year of events, 50 a person | 20.0 GB | 2.0 TB |" in text
    assert "| a year of mails, 40 a person | 200.0 GB | 20.0 TB |" in text
    assert "| a year of mails whose contents are kept 90 days | 54.0 GB | 5.4 TB |" in text
    assert "| and those contents, at any moment | 36.0 GB | 3.6 TB |" in text
    book = Book()
    book.put("bulk_send", [Figure("bulk send", "w", 2_000.0, "mails/s")], scale=1, seconds=1, pace_ms=2)
    text = scale.load_section(book.rows)
    assert "| mails | 4 billion | 127/s | 634/s | 2,000/s | 0.6 |" in text
    assert "| one campaign to everybody in 4 hours | 100 million |  | 6,944/s | 2,000/s | 6.9 |" in text
    assert "| alarms rung | 10 billion | 317/s | 1,585/s |  |  |" in text


def test_only_what_stands_between_the_marks_is_written_anew() -> None:
    page = "before\n<!-- load: written by make bench -->\nold\n<!-- end of load -->\nafter\n"
    text = scale.between(page, "load", "new\n")
    assert text.startswith("before\n")
    assert text.endswith("<!-- end of load -->\nafter\n")
    assert "new" in text
    assert "old" not in text
    with pytest.raises(ValueError, match="sizes"):
        scale.between(page, "sizes", "new")


def test_the_sizes_of_tables_are_counted_from_the_database(crowds: Crowds) -> None:
    found = table_sizes(crowds.of(200).url)
    assert found["identities"]["each"] == found["identities"]["rows"] / found["contacts"]["rows"] > 1
    for item in found.values():
        assert item["bytes_a_row"] > item["index_bytes_a_row"] + item["contents_bytes_a_row"] >= 0
    assert found["messages"]["contents_bytes_a_row"] > 500


def test_a_chart_is_drawn_with_its_names_and_axes() -> None:
    drawn = chart("Costs & sizes", [Line("ingest", [(10, 5), (1000, 6)])], across="people", up="µs")
    assert drawn.count("<circle") == 2
    assert "Costs &amp; sizes" in drawn
    assert "1,000" in drawn
