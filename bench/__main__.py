"""`make bench`: run every row (or `ROW=bulk_send`) and write the table.

python -m bench [--row NAME] [--scale 0.1] [--write docs/benchmarks.md]
"""

import argparse
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import advance, bulk_send, first_mail, ingest
from bench.stage import ROOT, Figure
from tests.rig.postgres import Postgres, running_postgres

ROWS: dict[str, Callable[[Postgres, float], list[Figure]]] = {
    "ingest": ingest.measure,
    "advance": advance.measure,
    "bulk_send": bulk_send.measure,
    "first_mail": first_mail.measure,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure throughput against its floor.")
    parser.add_argument("--row", choices=ROWS, action="append", help="only this row; repeatable")
    parser.add_argument(
        "--scale", type=float, default=0.1, help="share of the full work (1 = as in the docs)"
    )
    parser.add_argument("--write", type=Path, help="write the table to this file")
    given = parser.parse_args()
    figures: list[Figure] = []
    with running_postgres(durable=True) as postgres:
        for name in given.row or ROWS:
            print(f"measuring {name} ...", flush=True)
            figures.extend(ROWS[name](postgres, given.scale))
    text = table(figures, given.scale)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


def table(figures: list[Figure], scale: float) -> str:
    """Return the figures as a Markdown page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` at scale {scale:g}, {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. Durable PostgreSQL (fsync on), the product's own processes, loopback.",
        "",
        "| row | work | figure | floor | ratio | must | peak MB | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        floor = f"{one.floor:,.0f}" if one.floor else "-"
        ratio = f"{one.ratio:.2f}" if one.ratio else "-"
        memory = f"{one.memory_mb:.0f}" if one.memory_mb else "-"
        cells = (one.row, one.what, f"{one.value:,.0f} {one.unit}", floor, ratio, one.must, memory, one.note)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
