"""The base of every benchmark: a durable PostgreSQL, Redis, the product's processes, and a figure to fill in."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import redis
import sqlalchemy as sa
from celery import Celery

from nurture.app.installation import migrate
from nurture.app.services import Services
from nurture.consent.record import set_switch
from nurture.database.schema import messages
from nurture.runtime.settings import load_settings
from tests.rig.postgres import Postgres
from tests.rig.process import free_port
from tests.rig.redis import Redis
from workers.application import configuration
from workers.notify import CeleryNotifier, RedisMarks

ROOT = Path(__file__).parent.parent
_SECRET = "a-secret-for-measuring-only"

_SCRATCH = TemporaryDirectory(prefix="nurture-bench-")
#: Kind of process -> the most memory that any of its kind ever held in this run, in MB.
PEAKS: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    row: str
    what: str
    value: float
    # Units a second unless `unit` says otherwise.
    unit: str
    floor: float | None = None
    # The goal: the value at least, or (for times and sizes) at most; the ratio at least.
    at_least: float | None = None
    at_most: float | None = None
    ratio_at_least: float | None = None
    # Times and sizes; a value that must stay under something always is one.
    less_is_more: bool = False
    memory_mb: float = 0.0
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How close to the floor of the same run: 1 is as fast as it; for times the floor over ours."""
        if not self.floor or not self.value:
            return None
        is_less_more = self.less_is_more or self.at_most is not None
        return self.floor / self.value if is_less_more else self.value / self.floor

    @property
    def must(self) -> str:
        """The goal in words; empty without one."""
        parts = [f"{self.ratio_at_least:g}"] if self.ratio_at_least is not None else []
        if self.at_least is not None:
            parts.append(f"{self.at_least:,.0f} {self.unit}")
        if self.at_most is not None:
            parts.append(f"under {self.at_most:,g} {self.unit}")
        return " and ".join(parts)

    @property
    def is_met(self) -> bool | None:
        """Tell whether all that must be reached is; None when nothing was promised."""
        checks = [
            None if self.at_least is None else self.value >= self.at_least,
            None if self.at_most is None else self.value < self.at_most,
            None if self.ratio_at_least is None else (self.ratio or 0.0) >= self.ratio_at_least,
        ]
        known = [check for check in checks if check is not None]
        return all(known) if known else None


@dataclass
class Stage:
    """One installation on a database of its own."""

    url: str
    mail_url: str = field(default_factory=lambda: f"maildir:{_SCRATCH.name}/mailbox")
    broker_url: str = "memory://"
    port: int = field(default_factory=free_port)
    folder: Path = ROOT
    playbook: Path = ROOT / "email_templates"
    # Of deliveries; gone with the benchmark.
    journal: str = field(default_factory=lambda: f"{_SCRATCH.name}/journal")

    def environment(self) -> dict[str, str]:
        """Return the settings as an environment for its processes."""
        mine = {
            "NURTURE_DATABASE_URL": self.url,
            "NURTURE_MAIL_URL": self.mail_url,
            "NURTURE_BROKER_URL": self.broker_url,
            "NURTURE_SECRET_KEY": _SECRET,
            "NURTURE_SUPPRESSION_KEY": _SECRET,
            "NURTURE_HTTP_PORT": str(self.port),
            "NURTURE_LOG_LEVEL": "warning",
            "NURTURE_PLAYBOOK": str(self.playbook),
            "PYTHONPATH": str(ROOT),
            "NURTURE_JOURNAL": self.journal,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
        return {**kept, **mine}

    def migrated(self) -> Services:
        """Create everything and return the opened services."""
        given: Mapping[str, str] = self.environment()
        return migrate(load_settings(environment=given))


#: The measure that bulk sends send.
MEASURE = "customer/advocate/presale_notice"


def at_once(folder: Path) -> Path:
    """Copy the shipped programme; in the copy the measured mail waits for no hour of the day."""
    shutil.copytree(ROOT / "email_templates", folder, dirs_exist_ok=True)
    path = folder / MEASURE / "measure.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if "send_at:" not in line]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@contextmanager
def no_mail_leaves(services: Services) -> Iterator[None]:
    """Pause all mail, as `nurture pause all` does; what became due meanwhile is cancelled in the end."""

    def switch(*, paused: bool) -> None:
        now = services.clock.now()
        services.database.run(
            lambda c: set_switch(c, "all", paused=paused, reason="measuring", actor="bench", now=now)
        )

    switch(paused=True)
    try:
        yield
    finally:
        now = services.clock.now()
        due = sa.update(messages).where(messages.c.status == "waiting", messages.c.due_at <= now)
        ended = {"status": "cancelled", "reason": "cancelled_by_ops", "settled_at": now, "told": True}
        services.database.run(lambda c: c.execute(due.values(**ended)))
        switch(paused=False)


@contextmanager
def database(postgres: Postgres) -> Iterator[str]:
    """Give a fresh database's URL."""
    name = postgres.create()
    try:
        yield postgres.url(name)
    finally:
        postgres.drop(name)


# ---- processes -------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A process of the product, and the most memory it ever held."""

    popen: subprocess.Popen[bytes]
    kind: str

    def peak_mb(self) -> float:
        """Return its largest resident size so far, in megabytes."""
        try:
            status = Path(f"/proc/{self.popen.pid}/status").read_text()
        except OSError:
            return 0.0
        line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
        return remember(self.kind, int(line.split()[1]) / 1024)


def remember(kind: str, megabytes: float) -> float:
    """Note what a process of this kind held, for the row `memory`; returns it."""
    PEAKS[kind] = max(PEAKS.get(kind, 0.0), megabytes)
    return megabytes


def kind_of(words: Sequence[str]) -> str:
    """Return what a process is called in the table: `nurture api`, `worker` ..."""
    if words[0] == "celery":
        return "celery worker"
    return f"nurture {words[1]}"


@contextmanager
def process(stage: Stage, *words: str) -> Iterator[Process]:
    """Run a command of the product for as long as the block runs."""
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", *words],
        env=stage.environment(),
        cwd=stage.folder,
        stdout=subprocess.DEVNULL,
        stderr=sys.stderr if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL,
    )
    running = Process(started, kind_of(words))
    try:
        yield running
    finally:
        running.peak_mb()
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def workers(stage: Stage, redis_server: Redis, count: int) -> Iterator[list[Process]]:
    """Run so many Celery workers of one process each; they are listening when the block begins."""
    words = ("celery", "-A", "workers", "worker", "--pool", "solo", "--loglevel", "warning")
    client = redis.Redis.from_url(redis_server.url)

    def listening() -> bool:
        return sum(client_row["cmd"] == "brpop" for client_row in client.client_list()) >= count

    started: list[Process] = []
    stack = [process(stage, *words, "-n", f"w{number}@bench") for number in range(count)]
    try:
        started.extend(worker.__enter__() for worker in stack)
        until(listening, seconds=60, what=f"{count} workers to listen")
        yield started
    finally:
        for worker in stack[: len(started)]:
            worker.__exit__(None, None, None)
        client.close()


def notifier_of(services: Services) -> CeleryNotifier:
    """Return a notifier for the broker of these services, as the API has it; the product's own knows one broker."""
    app = Celery("bench", set_as_current=False)
    app.conf.update(configuration(services.settings))
    return CeleryNotifier(app, RedisMarks(services.settings.broker_url))


@dataclass(frozen=True, slots=True)
class Ran:
    """A command of the product that has ended."""

    seconds: float
    peak_mb: float
    output: str


def command(stage: Stage, *words: str, seconds: float = 600.0) -> Ran:
    """Run `python -m WORDS` to its end. Raises TimeoutError when it takes longer, AssertionError when it fails."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        env=stage.environment(),
        cwd=stage.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        running = Process(started, kind_of(words))  # type: ignore[arg-type] # text instead of bytes
        peak = 0.0
        while True:
            # Its memory is only told while it lives.
            peak = max(peak, running.peak_mb())
            try:
                output, errors = started.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if time.perf_counter() - begun > seconds:
                    started.kill()
                    message = f"{' '.join(words[:2])}: stopped after {seconds:.0f} s"
                    raise TimeoutError(message) from None
        took = time.perf_counter() - begun
    if started.returncode:
        message = f"{' '.join(words)}: exit {started.returncode}: {errors[-500:]}"
        raise AssertionError(message)
    return Ran(took, peak, output)


# ---- waiting and asking ----------------------------------------------------------------------------------


def until(answer: Callable[[], object], *, seconds: float, what: str, every: float = 0.01) -> float:
    """Wait until the callable says yes; return the seconds it took. Raises TimeoutError."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        if answer():
            return time.perf_counter() - begun
        time.sleep(every)
    message = f"{what}: not within {seconds:.0f} s"
    raise TimeoutError(message)


def scalar(url: str, statement: str) -> int:
    """Return one number of the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    return int(row[0] or 0) if row else 0


def own_peak_mb() -> float:
    """Return this process's largest resident size, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
