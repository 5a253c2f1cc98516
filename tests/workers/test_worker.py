"""The worker as it runs in production: `celery -A workers worker` with its processes, on PostgreSQL."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery

from nurture.app.event_body import split_body
from nurture.app.ingest import read_items
from nurture.app.services import Services
from nurture.contacts.accept import accept
from nurture.database.engine import encode
from tests.architecture.sources import ROOT
from tests.rig import warm
from tests.rig.process import free_port
from tests.rig.redis import Redis
from tests.workers.installation import (
    contacts_known,
    environment,
    eventually,
    installed,
    mails_decided,
    order,
    settings_of,
)
from workers.application import configuration
from workers.notify import CeleryNotifier, LocalMarks, RedisMarks
from workers.queues import NAMES

pytestmark = pytest.mark.faults

#: Loaded before a worker starts; `celery` itself reads the command's words when it is imported.
IMPORTS = [
    "workers.tasks",
    "workers.lifecycle",
    "workers.worker",
    "celery.concurrency.prefork",
    "celery.bin.worker",
]
ACCEPTED_40 = 'nurture_items_total{reason="accepted",room="inbox"} 40.0'


@contextmanager
def worker(
    folder: Path, environment: dict[str, str], *options: str, is_warm: bool = True
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker; its log is `worker.log` in the folder. is_warm: it does not import for itself."""
    command = ["celery", "-A", "workers", "worker", "--concurrency", "2", *options]
    with (folder / "worker.log").open("wb") as log:
        if is_warm:
            process = warm.start(command, imports=IMPORTS, env=environment, stdout=log, stderr=log)
        else:
            words = [sys.executable, "-m", *command]
            process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def metrics(port: str) -> str:
    """Return the page that a worker serves for Prometheus."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def accepted(services: Services, *items: dict[str, object]) -> None:
    """Put events into the inbox and ring nobody."""
    body = split_body(encode({"batch": items}).encode())
    intake = read_items(body, source="test", received_at=services.clock.now())
    services.database.run(lambda connection: accept(connection, intake.events))


def client(broker_url: str) -> Celery:
    """Return another application on the same broker."""
    app = Celery("shop", set_as_current=False)
    app.conf.update(broker_url=broker_url, task_publish_retry=False)
    return app


def test_message_goes_to_its_own_queue_alone(redis_url: str, tmp_path: Path) -> None:
    app = Celery("nurture", set_as_current=False)
    app.conf.update(configuration(settings_of(tmp_path, "sqlite:///unused.db", broker_url=redis_url)))
    with redis.Redis.from_url(redis_url) as keys, app.connection() as connection:
        for queue in app.amqp.queues.values():
            queue(connection).declare()
        CeleryNotifier(app, LocalMarks()).notify([("deliver", "main")])
        assert {name: keys.llen(name) for name in NAMES} == {name: int(name == "deliver") for name in NAMES}


def test_a_worker_takes_tasks_of_other_applications_at_once_and_listens_to_no_worker(
    postgresql_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = str(free_port())
    given = {"broker_url": redis_url, "metrics_port": port, "log_level": "info"}
    log = tmp_path / "worker.log"
    counters = tmp_path / "counters"
    counters.mkdir()
    with installed(settings_of(tmp_path, postgresql_url, **given)) as services:
        shared = {"PROMETHEUS_MULTIPROC_DIR": str(counters)}
        given_all = environment(tmp_path, postgresql_url, **given) | shared
        with worker(tmp_path, given_all, is_warm=False) as process:
            assert eventually(lambda: " ready" in log.read_text()), log.read_text()
            # Celery's mingle asks every other worker for revoked tasks and costs one second.
            assert "mingle" not in log.read_text()
            with redis.Redis.from_url(redis_url) as keys:
                # No worker subscribes to the heartbeats that each worker publishes every two seconds.
                assert keys.publish("/0.celeryev/worker.heartbeat", "") == 0
            app = client(redis_url)
            for number in range(20):
                app.send_task("nurture.hand_in", [[order(number, who=f"p{number}")]], queue="inbox")
                # The same event again, as a careful application does.
                app.send_task("nurture.hand_in", [[order(number, who=f"p{number}")]], queue="inbox")
            assert eventually(lambda: mails_decided(services) == 20), log.read_text()
            app.close()
            # The counters of the worker's two processes, added up; a process counts an event after it accepted it.
            assert eventually(lambda: ACCEPTED_40 in metrics(port)), metrics(port)
        assert process.returncode == 0
        assert contacts_known(services) == 20
        assert "@people.example" not in log.read_text().replace("***@people.example", "")


@pytest.mark.long
def test_a_process_goes_on_with_the_counters_of_the_one_before_it(
    postgresql_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = str(free_port())
    given = {"broker_url": redis_url, "metrics_port": port, "log_level": "info"}
    counters = tmp_path / "counters"
    counters.mkdir()
    with installed(settings_of(tmp_path, postgresql_url, **given)):
        shop = environment(tmp_path, postgresql_url, **given) | {"PROMETHEUS_MULTIPROC_DIR": str(counters)}
        with worker(tmp_path, shop, "--max-tasks-per-child", "12", is_warm=False) as process:
            assert eventually(lambda: " ready" in (tmp_path / "worker.log").read_text())
            app = client(redis_url)
            for number in range(40):
                app.send_task("nurture.hand_in", [[order(number)]], queue="inbox")
            app.close()
            assert eventually(lambda: ACCEPTED_40 in metrics(port)), metrics(port)
            # Three processes or more have counted by now; each of the worker's two places has its files.
            names = sorted(file.name for file in counters.glob("counter_*"))
            assert names == [f"counter_{process.pid}-{place}.db" for place in (0, 1)]


def test_without_redis_everything_is_slower_and_nothing_stops(postgresql_url: str, tmp_path: Path) -> None:
    given = {"broker_url": f"redis://127.0.0.1:{free_port()}/0"}
    with installed(settings_of(tmp_path, postgresql_url, **given)) as services:
        accepted(services, order(1))
        with worker(tmp_path, environment(tmp_path, postgresql_url, **given)):
            assert eventually(lambda: mails_decided(services) == 1), (tmp_path / "worker.log").read_text()


@pytest.mark.long
def test_emptied_redis_costs_latency_only(postgresql_url: str, tmp_path: Path) -> None:
    redis = Redis()
    given = {"broker_url": redis.url}
    try:
        with installed(settings_of(tmp_path, postgresql_url, **given)) as services:
            app = client(redis.url)
            app.conf.update(configuration(services.settings))
            notifier = CeleryNotifier(app, RedisMarks(redis.url))
            accepted(services, *(order(number, who=f"p{number}") for number in range(30)))
            notifier.notify([("inbox", str(shard)) for shard in range(64)])
            redis.stop()
            redis.start()
            with worker(tmp_path, environment(tmp_path, postgresql_url, **given)):
                assert eventually(lambda: mails_decided(services) == 30), (
                    tmp_path / "worker.log"
                ).read_text()
            app.close()
    finally:
        redis.stop()


def test_wrong_settings_are_reported_in_one_line_and_exit_two(tmp_path: Path) -> None:
    for wrong, error in (
        ({"NURTURE_DATABASE_URL": "oracle://x"}, "NURTURE_DATABASE_URL"),
        ({"NURTURE_DATABASE_URL": f"sqlite:///{tmp_path}/absent.db"}, "there is no database"),
    ):
        with worker(tmp_path, wrong) as process:
            process.wait(30)
        log = (tmp_path / "worker.log").read_text()
        assert process.returncode == 2, log
        assert error in log
        assert "Traceback" not in log
