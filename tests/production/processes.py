"""The processes of a production installation, each in a group of its own, started by the product's commands."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.architecture.sources import ROOT
from tests.rig.process import free_port
from tests.workers.installation import environment, eventually

#: Applications hand in events under this key; its name is the events' source.
WRITE_KEY = "WK-of-the-shop"
SOURCE = "shop"
WORKERS = 2
SCHEDULERS = 2
_LEASH = Path(__file__).with_name("end_with_parent.py")
_WORKER = ["celery", "-A", "workers", "worker", "--concurrency", "2", "--without-mingle", "--without-gossip"]


class Group:
    """One running command with all its children."""

    def __init__(self, name: str, command: list[str], *, folder: Path, environment: dict[str, str]) -> None:
        """Start `python -m COMMAND`; what it says goes to `NAME.log` in the folder."""
        self.name = name
        self._command = [sys.executable, "-I", str(_LEASH), sys.executable, "-m", *command]
        self._environment = environment
        self.log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill -9 every process of the group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        if self.process.stdin:
            self.process.stdin.close()

    def end(self) -> int:
        """Wait for its end after TERM, kill what is left of it; returns its exit code."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.kill()
        return self.process.returncode


@dataclass
class Installation:
    """A production installation: API, workers, schedulers, over a database, a broker and a mail server."""

    folder: Path
    database_url: str
    broker_url: str
    mail_url: str
    #: Process ids that were killed; what they held they hold no more.
    killed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start nothing yet."""
        self.port = free_port()
        self.environment = environment(
            self.folder,
            self.database_url,
            broker_url=self.broker_url,
            mail_url=self.mail_url,
            http_port=str(self.port),
            write_keys=f"{SOURCE}={WRITE_KEY}",
        )
        self.workers: list[Group] = []
        self.others: list[Group] = []

    @property
    def url(self) -> str:
        """Where its HTTP is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Create the database and start everything; returns when HTTP answers."""
        self.command("migrate")
        self.others = [self._group("api", "nurture.cli", "api")]
        self.others += [self._group(f"scheduler{n}", "nurture.cli", "scheduler") for n in range(SCHEDULERS)]
        self.workers = [self._group(f"worker{n}", *_WORKER, "-n", f"w{n}@test") for n in range(WORKERS)]
        assert eventually(self._answers, seconds=120), self.logs()

    def stop(self) -> dict[str, int]:
        """End everything in order; returns the exit codes by name."""
        for group in (*self.workers, *self.others):
            if group.alive():
                group.process.terminate()
        return {group.name: group.end() for group in (*self.workers, *self.others)}

    def command(self, *words: str) -> Any:
        """Run a `nurture` command with --json to its end; returns what it prints, whatever its exit code."""
        command = [sys.executable, "-m", "nurture.cli", *words, "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def children(self) -> dict[int, Group]:
        """Return the pool processes that do the work: process id -> the worker they belong to."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True
        )
        table = {
            int(pid): (int(ppid), int(pgid)) for pid, ppid, pgid in map(str.split, listed.stdout.splitlines())
        }
        groups = {group.process.pid: group for group in self.workers}
        mine = {pid: parent for pid, (parent, leader) in table.items() if leader in groups}
        # leash -> worker -> pool process.
        return {
            pid: groups[table[pid][1]]
            for pid, parent in mine.items()
            if parent in mine and mine[parent] in groups
        }

    def kill_child(self, pid: int) -> None:
        """Kill -9 one pool process; its worker starts another."""
        self.killed.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_worker(self, group: Group) -> None:
        """Kill -9 a worker with all its processes, and start it again."""
        self.killed |= {pid for pid, owner in self.children().items() if owner is group}
        group.kill()
        group.start()

    def supervise(self) -> int:
        """Start again what has ended, as a supervisor does; returns how many that were.

        Celery gives up when a pool process is killed before it has come up.
        """
        ended = [group for group in self.workers if not group.alive()]
        for group in ended:
            group.kill()
            group.start()
        return len(ended)

    def logs(self) -> str:
        """Return the end of every log."""
        groups = (*self.others, *self.workers)
        return "\n".join(f"--- {group.name}\n{group.log.read_text()[-3000:]}" for group in groups)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _group(self, name: str, *command: str) -> Group:
        return Group(name, list(command), folder=self.folder, environment=self.environment)
