"""advance: stored events through the shipped playbook and through one of 100 measures, by the product's workers.

Until all state is written.
"""

import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.programme import with_measures
from bench.stage import ROOT, Figure, Stage, database, no_mail_leaves, notifier_of, scalar, until, workers
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.inbox_queries import SHARDS
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR, MINUTE
from tests.rig.postgres import Postgres
from tests.rig.redis import Redis

_PROCESSES = 2
#: Of the large playbook.
_MEASURES = 100
_NAMES = ("Product Viewed", "Article Read", "Product Added", "Order Completed")


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figures for 200,000 events of 50,000 people at scale 1: the shipped playbook, and 100 measures."""
    people = int(50_000 * scale)
    with TemporaryDirectory(prefix="nurture-bench-") as name:
        large = with_measures(_MEASURES, Path(name) / "programme")
        playbooks = {"the shipped playbook": None, f"a playbook of {_MEASURES} measures": large}
        reached: dict[str, tuple[float, float]] = {}
        for words, playbook in playbooks.items():
            with database(postgres) as url:
                reached[words] = by_workers(url, people, _PROCESSES, playbook=playbook)
    with database(postgres) as url:
        floor = _floor(url, people)
    return [
        Figure(
            "advance",
            f"{4 * people} stored events of {people} people through {words}, {_PROCESSES} workers, "
            "until all state is written",
            rate,
            "events/s",
            floor,
            at_least=10_000,
            ratio_at_least=0.35,
            memory_mb=memory,
            note="floor: the same claim, load and write with an empty rule, two processes",
        )
        for words, (rate, memory) in reached.items()
    ]


def by_workers(
    url: str,
    people: int,
    count: int,
    *,
    prefix: str = "u",
    seconds: float = 300.0,
    playbook: Path | None = None,
) -> tuple[float, float]:
    """Return events a second, and the peak memory of a worker: Celery workers apply events that appear at once.

    prefix: of the people's names, so that a database can be used again. Events not applied after so many
    seconds does not count. playbook: None for the shipped one.
    """
    with ExitStack() as stack:
        redis = Redis()
        stack.callback(redis.stop)
        stage = Stage(url, broker_url=redis.url, playbook=playbook or ROOT / "email_templates")
        services = stage.migrated()
        stack.callback(services.close)
        before = scalar(url, "SELECT count(*) FROM events")
        stack.enter_context(no_mail_leaves(services))
        started = stack.enter_context(workers(stage, redis, count))
        _fill(services, people, prefix)
        begun = time.perf_counter()
        # As the HTTP process does after its commit.
        notifier_of(services).notify([("inbox", str(shard)) for shard in range(SHARDS)])
        _until_empty(url, seconds)
        took = time.perf_counter() - begun
        memory = max(process.peak_mb() for process in started)
        done = scalar(url, "SELECT count(*) FROM events") - before
    if not done:
        message = "the workers applied nothing; BENCH_LOUD=1 shows what they say"
        raise AssertionError(message)
    return done / took, memory


def _until_empty(url: str, seconds: float) -> None:
    """Wait until nothing is pending, or the time is up."""
    empty = "SELECT NOT EXISTS (SELECT FROM inbox ORDER BY id LIMIT 1)"
    with suppress(TimeoutError), psycopg.connect(url, autocommit=True) as connection:

        def is_empty() -> bool:
            (answer,) = connection.execute(empty).fetchone() or (False,)
            return bool(answer)

        until(is_empty, seconds=seconds, what="an empty inbox", every=0.05)


def _fill(services: Services, people: int, prefix: str = "u") -> None:
    """Put four events of each person into the inbox; they appear together, in one commit."""
    now = services.clock.now()
    with services.database.write() as connection:
        for start in range(0, people, 2_000):
            end = min(start + 2_000, people)
            accept(
                connection,
                [
                    _event(f"{prefix}{person}", person, place, now)
                    for place in range(4)
                    for person in range(start, end)
                ],
            )


def _floor(url: str, people: int) -> float:
    """Return events a second of processes that claim, load and write the same rows and decide nothing."""
    stage = Stage(url)
    services = stage.migrated()
    _fill(services, people)
    services.close()
    words = [sys.executable, "-m", "bench.drainer"]
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
    for process in running:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            message = "a drainer did not start"
            raise AssertionError(message)
    begun = time.perf_counter()
    for process in running:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    _until_empty(url, 300.0)
    took = time.perf_counter() - begun
    done = scalar(url, "SELECT count(*) FROM events")
    for process in running:
        process.kill()
        process.communicate()
    return done / took


def _event(who: str, person: int, place: int, now: int) -> NewEvent:
    name = _NAMES[place]
    at = now - HOUR + place * MINUTE
    properties = {
        "product_id": f"p{person % 97}",
        "category": ("brewing", "origins", "tools")[person % 3],
        "cart_id": f"c{person}",
        "order_id": f"o{who}",
        "name": "Guji",
        "price": 13.5,
        "revenue": 13.5,
        "currency": "EUR",
    }
    return NewEvent(
        source="bench",
        message_id=f"{who}-{place}",
        kind="track",
        name=name,
        occurred_at=at,
        received_at=at,
        identities=(Identity("user_id", who), Identity("email", f"{who}@bench.example")),
        properties=properties,
    )
