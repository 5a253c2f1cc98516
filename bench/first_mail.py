"""first mail: from the HTTP event to the SMTP hand-over of the mail it triggers, quiet system."""

import base64
import http.client
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
    waits = post_orders(port, log, goes_on=lambda posted: posted < events, prefix="first")
    return p95_of(waits)


def p95_of(waits: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(waits)[int(0.95 * len(waits))]


def post_orders(
    port: int,
    log: Path,
    *,
    goes_on: Callable[[int], bool],
    prefix: str,
    pause: float = 0.25,
    arrive_seconds: float = 60,
) -> list[float]:
    """Hand in orders one at a time; return the milliseconds from each request to its confirmation at the sink.

    goes_on: told how many were posted, answers whether another follows. prefix: of the buyers' addresses.
    """
    began: dict[str, float] = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Basic " + base64.b64encode(b"bench:").decode(),
    }
    while goes_on(len(began)):
        number = len(began)
        item = _order(f"{prefix}{number}")
        began[f"{prefix}{number}@bench.example"] = time.time()
        connection.request("POST", "/v1/batch", json.dumps({"batch": [item]}).encode(), headers)
        connection.getresponse().read()
        time.sleep(pause)
    connection.close()
    until(
        lambda: began.keys() <= arrived(log).keys(),
        seconds=arrive_seconds,
        what=f"{len(began)} confirmations",
        every=0.1,
    )
    at_sink = arrived(log)
    return [1000 * (at_sink[email] - at) for email, at in began.items()]


def _order(name: str) -> dict[str, Any]:
    """Return the event of an order of a new customer."""
    goods = {"product_id": "p1", "name": "Guji", "price": 13.5, "quantity": 1}
    return {
        "type": "track",
        "event": "Order Completed",
        "userId": name,
        "messageId": name,
        "properties": {
            "order_id": name,
            "revenue": 13.5,
            "total": 13.5,
            "currency": "EUR",
            "products": [goods],
        },
        "context": {"traits": {"email": f"{name}@bench.example"}, "timezone": "Europe/Berlin"},
    }


def arrived(log: Path) -> dict[str, float]:
    """Return recipient -> when the first mail came."""
    found: dict[str, float] = {}
    for line in log.read_text().splitlines():
        recipient, _, at = line.partition(" ")
        found.setdefault(recipient, float(at))
    return found
