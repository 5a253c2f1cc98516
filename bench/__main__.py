"""`make bench`: run every row (or `ROW=bulk_send`) and write the table.

python -m bench [--row NAME] [--scale 0.1] [--write [FILE]]
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    advance,
    alarms,
    audience,
    beside_bulk,
    bulk_send,
    first_mail,
    growth,
    history,
    ingest,
    measurement,
    memory,
    plans,
    scale,
    scaling,
    sizes,
    slow_server,
    start,
)
from bench.crowd import Crowds
from bench.pace import pace_ms
from bench.peers import django_drip
from bench.stage import Figure
from bench.table import PAGE, Book, lines_of
from tests.rig.postgres import Postgres, running_postgres

Measure = Callable[[Postgres, Crowds, float], list[Figure]]

#: In this order: what starts the machine's caches comes early, what needs a million people shares them.
ROWS: dict[str, Measure] = {
    "ingest": lambda postgres, _, scale: ingest.measure(postgres, scale),
    "advance": lambda postgres, _, scale: advance.measure(postgres, scale),
    "bulk_send": lambda postgres, _, scale: bulk_send.measure(postgres, scale),
    "slow_server": lambda postgres, _, scale: slow_server.measure(postgres, scale),
    "first_mail": lambda postgres, _, scale: first_mail.measure(postgres, scale),
    "beside_bulk": lambda postgres, _, scale: beside_bulk.measure(postgres, scale),
    "start": lambda _, __, scale: start.measure(scale),
    "history": lambda _, __, scale: history.measure(scale),
    "workers": lambda postgres, _, scale: scaling.measure(postgres, scale),
    "measurement": lambda postgres, _, scale: measurement.measure(postgres, scale),
    "peers": lambda postgres, _, scale: django_drip.measure(postgres, scale),
    "sizes": lambda _, crowds, scale: sizes.measure(crowds, scale),
    "alarms": lambda _, crowds, scale: alarms.measure(crowds, scale),
    "audience": lambda _, crowds, scale: audience.measure(crowds, scale),
    "plans": lambda _, crowds, scale: plans.measure(crowds, scale),
    "growth": lambda _, crowds, scale: growth.measure(crowds, scale),
    "memory": lambda _, __, ___: memory.measure(),
}


def main() -> int:
    """Measure, print, write; return 1 when a row could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure throughput against its floor.")
    parser.add_argument("--row", choices=ROWS, action="append", help="only this row; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full work (1: as in the docs)")
    parser.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="FILE",
        help="keep the figures and write the table, into docs/benchmarks.md or another page",
    )
    given = parser.parse_args()
    book, failed = Book.read(), []
    begun = time.perf_counter()
    with running_postgres(durable=True) as postgres:
        crowds = Crowds(postgres)
        for name in given.row or ROWS:
            print(f"{time.perf_counter() - begun:5.0f} s  {name} ...", flush=True)
            started, pace = time.perf_counter(), pace_ms()
            try:
                figures = ROWS[name](postgres, crowds, given.scale)
            except Exception as error:  # noqa: BLE001 - the other rows are measured all the same
                failed.append(name)
                print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            for line in lines_of(figures):
                print("  " + line, flush=True)
            pace = (pace + pace_ms()) / 2
            print(f"  fixed loop: {pace:.1f} ms", flush=True)
            seconds = time.perf_counter() - started
            book.put(name, figures, scale=given.scale, seconds=seconds, pace_ms=pace)
            if given.write:
                book.write(given.write)
                scale.write(book.rows)
        crowds.drop()
    print(
        f"{time.perf_counter() - begun:5.0f} s  done"
        + (f"; not measured: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
