"""advance: stored events through the shipped playbook, two processes, until all state is written."""

import subprocess
import sys
import time
from functools import partial

import sqlalchemy as sa

from bench.stage import ROOT, Figure, Stage, database, scalar
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR, MINUTE
from nurture.flow.inbox import NewEvent, accept
from tests.rig.postgres import Postgres

_PROCESSES = 2
_NAMES = ("Product Viewed", "Article Read", "Product Added", "Order Completed")


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figure for 200,000 events of 50,000 people at scale 1."""
    people = int(50_000 * scale)
    ours, memory = _run(postgres, people, rule="advance")
    floor, _ = _run(postgres, people, rule="empty")
    what = f"{4 * people} events of {people} people, {_PROCESSES} processes"
    note = "floor: the same drain with an empty rule"
    return [Figure("advance", what, ours, "events/s", floor, "0.2 and 10,000/s", memory, note)]


def _run(postgres: Postgres, people: int, *, rule: str) -> tuple[float, float]:
    with database(postgres) as url:
        stage = Stage(url)
        services = stage.migrated()
        try:
            now = services.clock.now()
            for start in range(0, people, 2_000):
                events = [
                    _event(person, place, now)
                    for place in range(4)
                    for person in range(start, min(start + 2_000, people))
                ]
                services.database.run(partial(_accept, events))
        finally:
            services.close()
        words = [sys.executable, "-m", "bench.drainer", rule]
        running = [
            subprocess.Popen(
                words,
                env=stage.environment(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(_PROCESSES)
        ]
        for one in running:
            if one.stdout is None or one.stdout.readline() != "ready\n":
                message = "a drainer did not start"
                raise AssertionError(message)
        begun = time.perf_counter()
        peaks = [0.0 for _ in running]
        for one in running:
            if one.stdin is not None:
                one.stdin.write("go\n")
                one.stdin.flush()
        for place, one in enumerate(running):
            peaks[place] = float(one.communicate(timeout=900)[0])
        seconds = time.perf_counter() - begun
        left = scalar(url, "SELECT count(*) FROM inbox")
        done = scalar(url, "SELECT count(*) FROM events")
    if left or done != 4 * people:
        message = f"{left} events left, {done} of {4 * people} applied"
        raise AssertionError(message)
    return 4 * people / seconds, max(peaks)


def _accept(events: list[NewEvent], connection: sa.Connection) -> None:
    accept(connection, events)


def _event(person: int, place: int, now: int) -> NewEvent:
    name = _NAMES[place]
    at = now - HOUR + place * MINUTE
    properties = {
        "product_id": f"p{person % 97}",
        "category": ("brewing", "origins", "tools")[person % 3],
        "cart_id": f"c{person}",
        "order_id": f"o{person}",
        "name": "Guji",
        "price": 13.5,
        "revenue": 13.5,
        "currency": "EUR",
    }
    return NewEvent(
        source="bench",
        message_id=f"{person}-{place}",
        kind="track",
        name=name,
        occurred_at=at,
        received_at=at,
        identities=(Identity("user_id", f"u{person}"), Identity("email", f"u{person}@bench.example")),
        properties=properties,
    )
