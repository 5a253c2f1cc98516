"""bulk send: an ops send decided, guarded, rendered, handed to the sink, outcomes written; two workers."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.people import advocates
from bench.stage import ROOT, Figure, Stage, database, process, scalar, until
from nurture.app.previews import choose
from nurture.app.services import Services
from nurture.mail.letter import Letter
from nurture.mail.render import render
from nurture.mail.transport import open_transport
from tests.rig.postgres import Postgres
from tests.rig.process import free_port
from tests.rig.redis import Redis

MEASURE = "customer/advocate/presale_notice"
TOPIC = "members"


@contextmanager
def sink(folder: Path, *, delay: float = 0.0) -> Iterator[tuple[int, Path]]:
    """Run a sink process; gives its port and its log."""
    port, log = free_port(), folder / "sink.log"
    running = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", str(port), str(log), str(delay)], cwd=ROOT
    )
    try:
        until(log.exists, seconds=10, what="the sink")
        time.sleep(0.2)
        yield port, log
    finally:
        running.terminate()
        running.wait(10)


def at_once(folder: Path) -> Path:
    """Copy the shipped programme; in the copy the measured mail waits for no day of the week."""
    shutil.copytree(ROOT / "email_templates", folder)
    path = folder / MEASURE / "measure.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if "send_at:" not in line]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figure for 200,000 people at scale 1."""
    people = int(200_000 * scale)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        url = stack.enter_context(database(postgres))
        port, log = stack.enter_context(sink(folder))
        redis = Redis()
        stack.callback(redis.stop)
        playbook = at_once(folder / "programme")
        stage = Stage(
            url, playbook=playbook, mail_url=f"smtp://127.0.0.1:{port}?tls=none", broker_url=redis.url
        )
        services = stage.migrated()
        stack.callback(services.close)
        advocates(services, people, TOPIC)
        floor = _floor(services, port, min(people, 20_000))
        words = ("celery", "-A", "workers", "worker", "--pool", "solo", "--loglevel", "warning")
        workers = [stack.enter_context(process(stage, *words, "-n", f"w{n}@bench")) for n in range(2)]
        time.sleep(4.0)
        send = [
            sys.executable,
            "-m",
            "nurture.cli",
            "send",
            MEASURE,
            "--audience",
            "orders >= 2",
            "--yes",
            "--json",
        ]
        begun = time.perf_counter()
        subprocess.run(send, env=stage.environment(), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        sent = "SELECT count(*) FROM messages WHERE status = 'sent'"
        until(lambda: scalar(url, sent) >= people, seconds=300, what=f"{people} mails")
        seconds = time.perf_counter() - begun
        memory = max(worker.peak_mb() for worker in workers)
        arrived = len(log.read_text().splitlines())
    what = f"{people} people, `nurture send` to the last outcome, 2 workers"
    note = f"floor: ready-made mails through the same client; the sink took {arrived}"
    return [Figure("bulk send", what, people / seconds, "mails/s", floor, "0.15 and 1,500/s", memory, note)]


def _floor(services: Services, port: int, count: int) -> float:
    """Push ready-made mails to the sink by the same client."""
    mail = choose(services, MEASURE, who=None, locale=None)
    data = render(mail.loaded.templates, mail.frozen)
    one = Letter(0, 1, "shop@bench.example", "floor@bench.example", data)
    transport = open_transport(f"smtp://127.0.0.1:{port}?tls=none")
    begun = time.perf_counter()
    sent = sum(o.outcome == "sent" for o in transport.send(replace(one, message_id=n) for n in range(count)))
    seconds = time.perf_counter() - begun
    transport.close()
    return sent / seconds
