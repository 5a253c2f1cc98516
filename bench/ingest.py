"""ingest: Segment batches of 100 over HTTP, unique ids, acknowledged after commit."""

import base64
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg

from bench.stage import Figure, Stage, database, process, scalar, until
from tests.rig.postgres import Postgres

_BATCH = 100
_CLIENTS = 4


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figure for so many thousand events (100,000 at scale 1)."""
    with database(postgres) as url:
        Stage(url).migrated().close()
        events = _whole_batches(int(100_000 * scale))
        floor = _floor(url, events)
        rate, memory = over_http(url, events)
    return [
        Figure(
            "ingest",
            f"{events} events in batches of {_BATCH}, {_CLIENTS} connections, 1 API process",
            rate,
            "events/s",
            floor,
            at_least=15_000,
            ratio_at_least=0.4,
            memory_mb=memory,
            note="floor: executemany of the same rows, a commit per 1,000",
        )
    ]


def _whole_batches(events: int) -> int:
    """Return about so many events, as many as fill every client's batches."""
    return max(1, events // (_BATCH * _CLIENTS)) * _BATCH * _CLIENTS


def over_http(url: str, events: int) -> tuple[float, float]:
    """Return events a second into this database by one API process, and its peak memory."""
    events = _whole_batches(events)
    before = scalar(url, "SELECT count(*) FROM inbox")
    bodies = [_body(place) for place in range(events // _BATCH)]
    stage = Stage(url)
    with process(stage, "nurture.cli", "api") as api:
        until(lambda: answers(stage.port), seconds=60, what="the API to answer")
        begun = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            parts = [bodies[number::_CLIENTS] for number in range(_CLIENTS)]
            list(pool.map(lambda part: _send(stage.port, part), parts))
        seconds = time.perf_counter() - begun
        memory = api.peak_mb()
    stored = scalar(url, "SELECT count(*) FROM inbox") - before
    if stored != events:
        message = f"{stored} of {events} events arrived"
        raise AssertionError(message)
    return events / seconds, memory


def _body(place: int) -> bytes:
    items = [
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": f"u{(place * _BATCH + n) % 50_000}",
            "messageId": f"bench-{place}-{n}",
            "timestamp": "2026-03-02T12:00:00.000Z",
            "properties": {"product_id": f"p{n}", "category": "coffee", "price": 13.5},
            "context": {"timezone": "Europe/Berlin", "locale": "en-GB"},
        }
        for n in range(_BATCH)
    ]
    return json.dumps({"batch": items}).encode()


def _send(port: int, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    key = base64.b64encode(b"bench:").decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {key}"}
    for body in bodies:
        connection.request("POST", "/v1/batch", body, headers)
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            message = f"HTTP {response.status}"
            raise AssertionError(message)
    connection.close()


def answers(port: int, path: str = "/healthz") -> bool:
    """Tell whether the HTTP process answers well."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def _floor(url: str, events: int) -> float:
    """Insert the same rows with executemany."""
    columns = "shard, source, message_id, kind, name, occurred_at, received_at, user_id, body"
    body = json.dumps(
        {
            "properties": {"product_id": "p1", "category": "coffee", "price": 13.5},
            "context": {"timezone": "Europe/Berlin", "locale": "en-GB"},
        }
    )
    rows = [
        (n % 64, "floor", f"floor-{n}", "track", "Product Viewed", 1, 1, f"u{n % 50_000}", body)
        for n in range(min(events, 40_000))
    ]
    begun = time.perf_counter()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for start in range(0, len(rows), 1_000):
            cursor.executemany(
                f"INSERT INTO inbox ({columns}) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s)",
                rows[start : start + 1_000],
            )
            connection.commit()
        seconds = time.perf_counter() - begun
        cursor.execute("TRUNCATE inbox")
        connection.commit()
    return len(rows) / seconds
