"""start: how long `nurture --help` takes, and `nurture up` until it is ready."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.ingest import answers
from bench.stage import Figure, Stage, command, process, until

_ROUNDS = 5


def measure(scale: float) -> list[Figure]:
    """Return seconds, the median of five starts; of fewer at a small scale."""
    rounds = _ROUNDS if scale >= 0.1 else 1
    helps, bare, ups = [], [], []
    memory = 0.0
    with TemporaryDirectory(prefix="nurture-bench-") as folder:
        stage = Stage(f"sqlite:///{folder}/none.db", folder=Path(folder))
        for _ in range(rounds):
            helps.append(command(stage, "nurture.cli", "--help").seconds)
            bare.append(_bare())
        for number in range(rounds):
            home = Path(folder) / str(number)
            home.mkdir()
            up = Stage(f"sqlite:///{home}/nurture.db", mail_url=f"maildir:{home}/mailbox", folder=home)
            with process(up, "nurture.cli", "up") as running:
                ups.append(until(lambda up=up: answers(up.port, "/readyz"), seconds=60, what="`nurture up`"))
                memory = max(memory, running.peak_mb())
            shutil.rmtree(home)
    return [
        Figure(
            "start",
            f"`nurture --help`, median of {rounds}",
            _median(helps),
            "s",
            _median(bare),
            at_most=0.7,
            note="floor: `python -c pass`",
        ),
        Figure(
            "start",
            f"`nurture up` in an empty folder until it is ready, median of {rounds}",
            _median(ups),
            "s",
            at_most=4,
            memory_mb=memory,
            note="the database is made and the programme checked and published in it",
        ),
    ]


def _bare() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
