"""Status is the same from every host: processes of two folders on one database, asked in both."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database.schema import lane_states, processes
from tests.cli.shell import Shell
from tests.rig import warm
from tests.rig.process import free_port
from tests.workers.installation import environment, eventually, installed, settings_of
from tests.workers.test_worker import IMPORTS

pytestmark = pytest.mark.faults

_COMMANDS = ["nurture.cli.root", "nurture.web.application", "workers.heartbeat", "workers.scheduler"]
#: Values that differ between two moments.
_MOVING = {
    "at",
    "due_rows",
    "last_answer",
    "last_error",
    "last_success",
    "oldest_due_seconds",
    "seconds",
    "seconds_since_beat",
    "seconds_since_success",
    "words",
}


@contextmanager
def process(folder: Path, name: str, *words: str, env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command of a host whose files are in `folder`."""
    with (folder / f"{name}.log").open("wb") as log:
        imports = IMPORTS if "celery" in words else _COMMANDS
        started = warm.start(words, imports=imports, env=env, stdout=log, stderr=log)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(60)


def still(value: Any) -> Any:
    """Return a document without what changes from one moment to the next."""
    if isinstance(value, Mapping):
        return {name: still(part) for name, part in value.items() if name not in _MOVING}
    return [still(part) for part in value] if isinstance(value, list) else value


def test_two_hosts_say_the_same(
    postgresql_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nurture = Shell(tmp_path, monkeypatch, capsys)
    relay = f"smtp://127.0.0.1:{free_port()}"
    given = {"broker_url": redis_url, "mail_url": relay, "check_relay": "1"}
    hosts = [tmp_path / name for name in ("first", "second")]
    environments = []
    for host in hosts:
        host.mkdir()
        environments.append(environment(host, postgresql_url, http_port=str(free_port()), **given))
    celery = ("celery", "-A", "workers", "worker", "--concurrency", "1")

    def ask(number: int) -> Any:
        for name, value in environments[number].items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(hosts[number])
        done = nurture("status", "--json")
        assert done.code in {0, 1}, done.err
        return done.document

    first, second = environments
    with installed(settings_of(tmp_path, postgresql_url, **given)) as services:

        def kinds() -> set[str]:
            # A whole status every moment would take the processor from the processes that are awaited.
            with services.database.read() as connection:
                return set(connection.scalars(sa.select(processes.c.kind)))

        def is_relay_refusing() -> bool:
            with services.database.read() as connection:
                return any(connection.scalars(sa.select(lane_states.c.words)))

        stopped = ask(0)
        assert stopped["findings"][0]["words"].startswith("no worker runs")
        assert (
            stopped["broker"] | {"words": "no process runs that could ask it", "state": "unknown"}
            == (stopped["broker"])
        )
        with (
            process(hosts[0], "api", "nurture.cli", "api", env=first),
            process(hosts[0], "scheduler", "nurture.cli", "scheduler", env=first),
            process(hosts[1], "api", "nurture.cli", "api", env=second),
            process(hosts[1], "worker", *celery, env=second) as worker,
        ):
            assert eventually(lambda: kinds() == {"api", "scheduler", "worker"})
            assert eventually(is_relay_refusing, seconds=15)
            one, other = ask(0), ask(1)
            assert still(one) == still(other)
            (lane,) = one["relay"]
            assert (lane["lane"], lane["state"], lane["words"]) == (
                "main",
                "failing",
                f"{relay.removeprefix('smtp://')}: Connection refused",
            )
            assert one["broker"]["state"] == "ok"
            assert [finding["part"] for finding in one["findings"]] == ["relay"]
            worker.terminate()
            assert eventually(lambda: kinds() == {"api", "scheduler"})
            assert "worker" in {finding["part"] for finding in ask(1)["findings"]}
        assert ask(1)["processes"] == []
