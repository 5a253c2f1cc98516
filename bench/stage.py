"""What every benchmark stands on: a durable PostgreSQL, Redis, the product's processes, and a figure to fill in."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from nurture.app.opening import migrate
from nurture.app.services import Services
from nurture.settings import load_settings
from tests.rig.postgres import Postgres
from tests.rig.process import free_port

ROOT = Path(__file__).parent.parent
_SECRET = "a-secret-for-measuring-only"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    row: str
    what: str
    # Units a second unless `unit` says otherwise.
    value: float
    unit: str
    floor: float | None = None
    must: str = ""
    memory_mb: float = 0.0
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the floor of the same run."""
        return self.value / self.floor if self.floor else None


@dataclass
class Stage:
    """One installation on a database of its own."""

    url: str
    mail_url: str = "maildir:/dev/null"
    broker_url: str = "memory://"
    port: int = field(default_factory=free_port)
    folder: Path = ROOT
    playbook: Path = ROOT / "email_templates"

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
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
        return {**kept, **mine}

    def migrated(self) -> Services:
        """Create everything and return the opened services."""
        given: Mapping[str, str] = self.environment()
        return migrate(load_settings(environment=given))


@contextmanager
def database(postgres: Postgres) -> Iterator[str]:
    """Give a fresh database's URL."""
    name = postgres.create()
    try:
        yield postgres.url(name)
    finally:
        postgres.drop(name)


@dataclass
class Process:
    """A process of the product, and the most memory it ever held."""

    popen: subprocess.Popen[bytes]

    def peak_mb(self) -> float:
        """Return its largest resident size so far, in megabytes."""
        try:
            status = Path(f"/proc/{self.popen.pid}/status").read_text()
        except OSError:
            return 0.0
        line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
        return int(line.split()[1]) / 1024


@contextmanager
def process(stage: Stage, *words: str) -> Iterator[Process]:
    """Run a command of the product for as long as the block runs."""
    started = subprocess.Popen([sys.executable, "-m", *words], env=stage.environment(), cwd=stage.folder)
    try:
        yield Process(started)
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def until(answer: object, *, seconds: float, what: str) -> float:
    """Wait until the callable says yes; return the seconds it took. Raises TimeoutError."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        if callable(answer) and answer():
            return time.perf_counter() - begun
        time.sleep(0.01)
    message = f"{what}: not within {seconds} s"
    raise TimeoutError(message)


def scalar(url: str, statement: str) -> int:
    """Return one number of the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    return int(row[0] or 0) if row else 0


def own_peak_mb() -> float:
    """Return this process's largest resident size, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
