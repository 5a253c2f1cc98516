"""`docker-compose.yml`: valid, without a secret, every queue consumed, and each command runs as written."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.architecture.sources import ROOT
from tests.rig.process import free_port
from tests.rig.smtp import SmtpSink
from tests.workers.installation import SECRET, eventually
from workers.queues import NAMES

#: Settings that `.env` must hold.
REQUIRED = (
    "POSTGRES_PASSWORD",
    "NURTURE_SECRET_KEY",
    "NURTURE_SUPPRESSION_KEY",
    "NURTURE_ADMIN_PASSWORD",
    "NURTURE_WRITE_KEYS",
)
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")


#: A process, what asks for its health, and where its output is.
Started = tuple["subprocess.Popen[bytes]", Callable[[], bool], Path]


def compose(variables: dict[str, str] | None = None) -> dict[str, Any]:
    """Read the file as Docker Compose does; with `variables`, interpolated."""
    text = (ROOT / "docker-compose.yml").read_text()
    document: dict[str, Any] = json.loads(json.dumps(YAML(typ="safe").load(text)))
    return document if variables is None else _interpolated(document, variables)


def _interpolated(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _interpolated(part, variables) for name, part in value.items()}
    if isinstance(value, list):
        return [_interpolated(part, variables) for part in value]
    return _VARIABLE.sub(lambda found: _value(found, variables), value) if isinstance(value, str) else value


def _value(found: re.Match[str], variables: dict[str, str]) -> str:
    name, kind, rest = found.groups()
    if variables.get(name):
        return variables[name]
    if kind == "?":
        raise KeyError(rest)
    return rest or ""


def ours(document: dict[str, Any]) -> dict[str, Any]:
    """Return the services that run this project."""
    return {name: service for name, service in document["services"].items() if service["image"] == "nurture"}


def test_file_follows_the_compose_specification() -> None:
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
    jsonschema.validate(compose(), json.loads(schema))


def test_file_holds_no_secret_and_says_which_is_missing() -> None:
    for name in REQUIRED:
        with pytest.raises(KeyError, match=f"set {name} in .env"):
            compose(dict.fromkeys(set(REQUIRED) - {name}, SECRET))
    held = {
        f"{service}: {name}"
        for service, words in compose()["services"].items()
        for name, value in words.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|KEY", name) and not str(value).startswith("${")
    }
    assert held == set()


def test_every_service_comes_back_by_itself_and_tells_its_health() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "restart" not in service} == set()
    silent = {name for name, service in services.items() if "healthcheck" not in service}
    # One ends when it is done, the other serves nothing that could be asked.
    assert silent == {"migrate", "scheduler"}


def test_every_queue_is_consumed() -> None:
    command = compose()["services"]["worker"]["command"]
    assert set(command[command.index("--queues") + 1].split(",")) == set(NAMES)


def translated(
    service: dict[str, Any], places: dict[str, str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Return environment, command and health check of a service with its hosts and ports led to ours."""

    def lead(text: Any) -> str:
        for there, here in places.items():
            text = str(text).replace(there, here)
        return str(text)

    environment = {name: lead(value) for name, value in service["environment"].items()}
    command = [lead(word) for word in service["command"]]
    health = [lead(word) for word in service.get("healthcheck", {}).get("test", [])[1:]]
    return environment, command, health


@contextmanager
def running(
    command: list[str], environment: dict[str, str], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a service's command in the folder of its output."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=output.parent, env=environment, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture
def places(postgres: Any, redis_url: str, smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give where the services' hosts, ports and folders are here; the database is empty."""
    name = postgres.create()
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    at = postgres.url(name).partition("@")[2]
    yield {
        "postgres:5432/nurture": at,
        "redis:6379/0": redis_url.removeprefix("redis://"),
        "mail:1025": f"127.0.0.1:{smtp_sink.port}",
        "8025": str(free_port()),
        "9100": str(free_port()),
        "/run/metrics": str(metrics),
    }
    postgres.drop(name)


@pytest.mark.long
@pytest.mark.faults
def test_each_command_runs_as_written(places: dict[str, str], tmp_path: Path) -> None:
    services = ours(compose(dict.fromkeys(REQUIRED, SECRET)))
    (tmp_path / "email_templates").symlink_to(ROOT / "email_templates")
    path = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "PYTHONPATH": str(ROOT)}
    environment, command, _ = translated(services.pop("migrate"), places)
    for _time in ("first", "again"):
        done = subprocess.run(command, cwd=tmp_path, env=environment | path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(_started(name, services[name], places, path, tmp_path))
            for name in services
        }
        for name, (process, healthy, output) in started.items():
            assert eventually(healthy), f"{name}: {output.read_text()}"
            assert process.poll() is None, f"{name}: {output.read_text()}"
    for name, (process, _, output) in started.items():
        # The HTTP server ends by the signal that it was sent, after it has finished what it was at.
        assert process.returncode in {0, -signal.SIGTERM}, f"{name}: {output.read_text()}"
        assert "Traceback" not in output.read_text()


@contextmanager
def _started(
    name: str, service: dict[str, Any], places: dict[str, str], path: dict[str, str], folder: Path
) -> Iterator[Started]:
    """Run a service; tell its process, what asks for its health, and where its output is."""
    environment, command, health = translated(service, places)
    output = folder / f"{name}.output"

    def healthy() -> bool:
        if not health:
            return "ticking" in output.read_text()
        return not subprocess.run(health, env=environment | path, capture_output=True, check=False).returncode

    with running(command, environment | path, output) as process:
        yield process, healthy, output
