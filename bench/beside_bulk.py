"""first mail beside bulk: live orders while a send, a historic import or a slow relay keeps every worker busy.

For one worker and for two, on one installation each: orders on a quiet system; then each kind of bulk work alone, and
once more while orders come. A row is the orders' p95 or the bulk work's rate, beside the figure without the other.
"""

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from bench.bulk_send import TOPIC, sink
from bench.first_mail import p95_of, post_orders
from bench.ingest import answers
from bench.people import advocates
from bench.stage import MEASURE, Figure, Process, Stage, at_once, database, process, scalar, until, workers
from nurture.app.services import Services
from tests.rig.postgres import Postgres
from tests.rig.redis import Redis

_WORKERS = (1, 2)
_QUIET_ORDERS = 40
_SETTLES_SECONDS = 1.0
_SLOW_SECONDS = 0.02
#: So many mails of a slow relay's part of the people: it sends a few hundred a second.
_SLOW_PART = 10
_SECONDS_MAX = 400.0
_EMBEDDED_ROWS = 60_000


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figures for sends and imports of 200,000, and for `nurture up` with an import of 60,000."""
    people = max(500, int(200_000 * scale))
    figures = []
    for count in _WORKERS:
        figures += _beside(postgres, count, people)
    return [*figures, *_embedded(max(500, int(_EMBEDDED_ROWS * scale)))]


@dataclass
class _Installation:
    """A running installation: where its orders go, and what its processes hold."""

    stage: Stage
    services: Services
    log: Path
    folder: Path
    processes: list[Process] = field(default_factory=list)

    def orders(self, prefix: str, goes_on: Callable[[int], bool]) -> list[float]:
        """Hand in orders; return the milliseconds to each one's confirmation."""
        return post_orders(
            self.stage.port, self.log, goes_on=goes_on, prefix=prefix, arrive_seconds=_SECONDS_MAX
        )

    def peak_mb(self) -> float:
        """Return the most that one of the processes ever held."""
        return max(process.peak_mb() for process in self.processes)


@contextmanager
def _installation(postgres: Postgres, count: int, *, delay: float = 0.0) -> Iterator[_Installation]:
    """Run API, scheduler and so many workers; `delay` before each reply of the relay."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        url = stack.enter_context(database(postgres))
        port, log = stack.enter_context(sink(folder, delay=delay))
        redis = Redis()
        stack.callback(redis.stop)
        mail_url = f"smtp://127.0.0.1:{port}?tls=none"
        playbook = at_once(folder / "programme")
        stage = Stage(url, mail_url=mail_url, broker_url=redis.url, playbook=playbook)
        services = stage.migrated()
        stack.callback(services.close)
        processes = [
            stack.enter_context(process(stage, "nurture.cli", "api")),
            stack.enter_context(process(stage, "nurture.cli", "scheduler")),
            *stack.enter_context(workers(stage, redis, count)),
        ]
        until(lambda: answers(stage.port), seconds=30, what="the API to answer")
        time.sleep(_SETTLES_SECONDS)
        yield _Installation(stage, services, log, folder, processes)


def _beside(postgres: Postgres, count: int, people: int) -> list[Figure]:
    with _installation(postgres, count) as here:
        for prefix in ("a", "b"):
            advocates(here.services, people, TOPIC, prefix=prefix)
        quiet = p95_of(here.orders("quiet", lambda posted: posted < _QUIET_ORDERS))
        name = _named(count)
        print(f"  nothing else, {name}: p95 {quiet:,.0f} ms", flush=True)
        figures = [Figure("beside bulk", f"nothing else, {_QUIET_ORDERS} orders, {name}", quiet, "ms p95")]
        sent = f"`nurture send` to {people} people"
        figures += _both(here, sent, name, quiet, lambda prefix: _send(here, prefix, people))
        imported = f"`nurture import --historic` of {people} rows"
        figures += _both(here, imported, name, quiet, lambda prefix: _import(here, prefix, people))
    slow = max(200, people // _SLOW_PART)
    with _installation(postgres, count, delay=_SLOW_SECONDS) as here:
        for prefix in ("a", "b"):
            advocates(here.services, slow, TOPIC, prefix=prefix)
        quiet = p95_of(here.orders("quiet", lambda posted: posted < _QUIET_ORDERS))
        sent = f"`nurture send` to {slow} people by a relay that takes 20 ms to each reply"
        figures += _both(here, sent, name, quiet, lambda prefix: _send(here, prefix, slow))
    return figures


def _named(count: int) -> str:
    return f"{count} {'worker' if count == 1 else 'workers'}"


def _both(
    here: _Installation, work: str, name: str, quiet: float, bulk: Callable[[str], float]
) -> list[Figure]:
    """Do bulk work alone, then while orders come; return what the orders and the bulk work made of it."""
    alone = bulk("a")
    rates: list[float] = []
    thread = Thread(target=lambda: rates.append(bulk("b")))
    thread.start()
    prefix = f"live{len(here.log.read_text().splitlines())}x"
    waits = here.orders(prefix, lambda _: thread.is_alive())
    thread.join()
    if not rates:
        message = f"{work} beside orders: not done; BENCH_LOUD=1 shows why"
        raise AssertionError(message)
    middle = sorted(waits)[len(waits) // 2]
    print(f"  {work}, {name}: p95 {p95_of(waits):,.0f} ms; {rates[0]:,.0f}/s of {alone:,.0f}/s", flush=True)
    note = f"median {middle:,.0f} ms; floor: orders on the quiet system"
    what = f"{len(waits)} orders while {work}, {name}"
    return [
        Figure(
            "beside bulk", what, p95_of(waits), "ms p95", quiet, at_most=1_000, memory_mb=here.peak_mb(), note=note
        ),
        Figure(
            "beside bulk", f"{work} while orders come, {name}", rates[0], "a second", alone, ratio_at_least=0.9,
            note="floor: the same without orders",
        ),
    ]  # fmt: skip


def _send(here: _Installation, prefix: str, people: int) -> float:
    """Send to the people of a prefix; return mails a second from the command to the last outcome."""
    audience = ("--audience", f"company == '{prefix}'")
    statement = f"SELECT count(*) FROM messages WHERE measure = '{MEASURE}' AND status = 'sent'"
    goal = scalar(here.stage.url, statement) + people
    begun = time.perf_counter()
    with process(
        here.stage, "nurture.cli", "send", MEASURE, "--occasion", prefix, *audience, "--yes"
    ) as command:
        command.popen.wait(_SECONDS_MAX)
        until(
            lambda: scalar(here.stage.url, statement) >= goal,
            seconds=_SECONDS_MAX,
            what=f"{people} mails",
            every=0.25,
        )
        command.peak_mb()
    return people / (time.perf_counter() - begun)


def _import(here: _Installation, prefix: str, rows: int) -> float:
    """Import history; return rows a second from the command to the last applied event."""
    file = history_file(here.folder / f"{prefix}.csv", prefix, rows)
    begun = time.perf_counter()
    with process(here.stage, "nurture.cli", "import", str(file), "--kind", "events", "--historic") as command:
        command.popen.wait(_SECONDS_MAX)
        statement = "SELECT count(*) FROM events WHERE historic"
        goal = scalar(here.stage.url, "SELECT count(*) FROM inbox WHERE historic") + scalar(
            here.stage.url, statement
        )
        until(
            lambda: scalar(here.stage.url, statement) >= goal,
            seconds=_SECONDS_MAX,
            what=f"{rows} rows to be applied",
            every=0.25,
        )
        command.peak_mb()
    return rows / (time.perf_counter() - begun)


def history_file(path: Path, prefix: str, rows: int) -> Path:
    """Write a file of events that four rows each tell of one person, and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "event", "timestamp", "message_id", "product_id"))
        for row in range(rows):
            day = f"2026-{1 + row % 10:02}-{1 + row % 28:02}T10:00:00Z"
            person = f"{prefix}{row // 4}@history.example"
            writer.writerow((person, "Product Viewed", day, f"{prefix}{row}", f"p{row % 50}"))
    return path


def _embedded(rows: int) -> list[Figure]:
    """Measure `nurture up` on SQLite: the orders' p95 beside an import, and what the process holds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        port, log = stack.enter_context(sink(folder))
        stage = Stage(f"sqlite:///{folder}/nurture.db", mail_url=f"smtp://127.0.0.1:{port}?tls=none")
        running = stack.enter_context(process(stage, "nurture.cli", "up"))
        until(lambda: answers(stage.port), seconds=120, what="`nurture up` to answer")
        time.sleep(_SETTLES_SECONDS)
        file = history_file(folder / "history.csv", "h", rows)
        words = ("import", str(file), "--kind", "events", "--historic", "--json")
        command = stack.enter_context(process(stage, "nurture.cli", *words))
        services = stage.migrated()
        stack.callback(services.close)

        def is_busy(_posted: int) -> bool:
            with services.database.look() as connection:
                waits = connection.exec_driver_sql("SELECT 1 FROM inbox LIMIT 1").first()
            return command.popen.poll() is None or waits is not None

        waits = post_orders(stage.port, log, goes_on=is_busy, prefix="live", arrive_seconds=_SECONDS_MAX)
        memory = running.peak_mb()
    what = f"while `nurture import --historic` of {rows} rows; `nurture up`, SQLite"
    return [
        Figure(
            "beside bulk",
            f"{len(waits)} orders {what}",
            p95_of(waits),
            "ms p95",
            at_most=2_000,
            note=f"median {sorted(waits)[len(waits) // 2]:,.0f} ms",
        ),
        Figure("beside bulk", f"memory {what}", memory, "MB", at_most=250, memory_mb=memory),
    ]
