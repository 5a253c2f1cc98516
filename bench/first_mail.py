"""first mail: from the HTTP event to the SMTP hand-over of the mail it triggers, quiet system."""

import base64
import http.client
import json
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.bulk_send import sink
from bench.ingest import answers
from bench.stage import Figure, Stage, database, process, until, workers
from tests.rig.postgres import Postgres
from tests.rig.redis import Redis

_EVENTS = 40
_SETTLES_SECONDS = 1.0


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return p95 in milliseconds, production and embedded: 40 events, fewer at a small scale."""
    events = max(3, min(_EVENTS, int(_EVENTS * scale * 4)))
    return [_production(postgres, events), _embedded(events)]


def _production(postgres: Postgres, events: int) -> Figure:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        url = stack.enter_context(database(postgres))
        port, log = stack.enter_context(sink(folder))
        redis = Redis()
        stack.callback(redis.stop)
        stage = Stage(url, mail_url=f"smtp://127.0.0.1:{port}?tls=none", broker_url=redis.url)
        stage.migrated().close()
        api = stack.enter_context(process(stage, "nurture.cli", "api"))
        clock = stack.enter_context(process(stage, "nurture.cli", "scheduler"))
        (worker,) = stack.enter_context(workers(stage, redis, 1))
        until(lambda: answers(stage.port), seconds=30, what="the API to answer")
        # A quiet system is not one that is still starting; the same for both.
        time.sleep(_SETTLES_SECONDS)
        p95 = _p95(stage.port, log, events)
        memory = max(process.peak_mb() for process in (api, clock, worker))
    what = f"{events} HTTP events to SMTP, one by one; PostgreSQL, Redis, API, scheduler, 1 worker"
    return Figure("first mail", what, p95, "ms p95", at_most=1_000, memory_mb=memory)


def _embedded(events: int) -> Figure:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        port, log = stack.enter_context(sink(folder))
        stage = Stage(f"sqlite:///{folder}/nurture.db", mail_url=f"smtp://127.0.0.1:{port}?tls=none")
        running = stack.enter_context(process(stage, "nurture.cli", "up"))
        until(lambda: answers(stage.port), seconds=60, what="`nurture up` to answer")
        time.sleep(_SETTLES_SECONDS)
        p95 = _p95(stage.port, log, events)
        memory = running.peak_mb()
    what = f"{events} HTTP events to SMTP, one by one; `nurture up`, SQLite"
    return Figure("first mail", what, p95, "ms p95", at_most=2_000, memory_mb=memory)


def _p95(port: int, log: Path, events: int) -> float:
    """Hand in orders one at a time and return the 95th percentile of the time to their confirmation."""
    began: dict[str, float] = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Basic " + base64.b64encode(b"bench:").decode(),
    }
    for n in range(events):
        email = f"first{n}@bench.example"
        goods = {"product_id": "p1", "name": "Guji", "price": 13.5, "quantity": 1}
        properties = {
            "order_id": f"o{n}",
            "revenue": 13.5,
            "total": 13.5,
            "currency": "EUR",
            "products": [goods],
        }
        item = {
            "type": "track",
            "event": "Order Completed",
            "userId": f"f{n}",
            "messageId": f"f{n}",
            "properties": properties,
        }
        item["context"] = {"traits": {"email": email}, "timezone": "Europe/Berlin"}
        began[email] = time.time()
        connection.request("POST", "/v1/batch", json.dumps({"batch": [item]}).encode(), headers)
        connection.getresponse().read()
        time.sleep(0.25)
    until(lambda: len(_arrived(log)) >= events, seconds=60, what=f"{events} confirmations")
    arrived = _arrived(log)
    waits = sorted(1000 * (arrived[email] - at) for email, at in began.items())
    return waits[int(0.95 * len(waits))]


def _arrived(log: Path) -> dict[str, float]:
    """Return recipient -> when the first mail came."""
    found: dict[str, float] = {}
    for line in log.read_text().splitlines():
        recipient, _, at = line.partition(" ")
        found.setdefault(recipient, float(at))
    return found
