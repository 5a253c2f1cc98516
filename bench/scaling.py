"""workers: what one, two and four Celery workers do of the same work on this machine."""

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import advance, bulk_send
from bench.stage import Figure, database
from tests.rig.postgres import Postgres

_COUNTS = (1, 2, 4)


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return events and mails a second by 1, 2 and 4 workers: 40,000 events and 5,000 mails each at scale 1."""
    people, mails = max(100, int(10_000 * scale)), max(100, int(5_000 * scale))
    figures = []
    for count in _COUNTS:
        with database(postgres) as url:
            rate, memory = advance.by_workers(url, people, count, seconds=60)
        what = f"advance, {4 * people} events, {count} {'worker' if count == 1 else 'workers'}"
        figures.append(Figure("workers", what, rate, "events/s", memory_mb=memory))
    for count in _COUNTS:
        with database(postgres) as url, TemporaryDirectory(prefix="nurture-bench-") as folder:
            sent = bulk_send.by_workers(url, Path(folder), mails, count, seconds=60, ready_made=200)
        what = f"bulk send, {mails} people, {count} {'worker' if count == 1 else 'workers'}"
        figures.append(Figure("workers", what, sent.rate, "mails/s", memory_mb=sent.memory_mb))
    return figures
