"""alarms: a crowd sleeps, some ring; and what it costs to look when nobody does."""

import time
from contextlib import ExitStack, suppress

import psycopg

from bench.crowd import Crowds, set_alarms
from bench.stage import Figure, Stage, no_mail_leaves, notifier_of, scalar, until, workers
from nurture.app.services import Services
from nurture.domain.instant import FOREVER, Instant
from nurture.journey.drain import ring
from tests.rig.redis import Redis

_PAGE = 500
_LOOKS = 300
# The bound of alarms is a literal: only then does PostgreSQL use the index for every instant.
_DUE = f"SELECT id FROM contacts WHERE survivor IS NULL AND wake_at < {FOREVER} AND wake_at <= %s ORDER BY wake_at"


def measure(crowds: Crowds, scale: float) -> list[Figure]:
    """Return rings a second and the milliseconds of an idle poll: 50,000 of 1,000,000 at scale 1."""
    stage = crowds.of(int(1_000_000 * scale))
    sleeping = scalar(stage.url, "SELECT count(*) FROM contacts WHERE survivor IS NULL")
    ringing = int(50_000 * scale)
    rate, floor, memory = by_workers(stage, ringing, 2)
    poll, bare = idle_poll(stage)
    what = f"{ringing} of {sleeping} sleeping contacts ring"
    return [
        Figure(
            "alarms",
            f"{what}, through the rules, 2 workers, until all state is written",
            rate,
            "rings/s",
            floor,
            at_least=8_000,
            memory_mb=memory,
            note="floor: index range read of the same rows, nothing decided or written",
        ),
        Figure(
            "idle poll",
            f"`ring` with {sleeping} asleep and nobody due, median of {_LOOKS}",
            poll,
            "ms",
            bare,
            at_most=0.5,
            note="floor: the bare statement on an open connection",
        ),
    ]


def by_workers(
    stage: Stage, ringing: int, count: int, *, seconds: float = 120.0
) -> tuple[float, float, float]:
    """Return rings a second by so many Celery workers, the floor of the same rows, and the peak memory of one."""
    with ExitStack() as stack:
        redis = Redis()
        stack.callback(redis.stop)
        mine = Stage(stage.url, broker_url=redis.url)
        services = mine.migrated()
        stack.callback(services.close)
        now = services.clock.now()
        set_alarms(stage.url, ringing=ringing, now=now)
        floor = _floor(stage.url, now)
        # Nobody is due until the workers listen; then all are, in one commit.
        _shift(stage.url, now, by=3_600_000_000)
        stack.enter_context(no_mail_leaves(services))
        started = stack.enter_context(workers(mine, redis, count))
        left = f"SELECT count(*) FROM contacts WHERE survivor IS NULL AND wake_at <= {now}"
        _shift(stage.url, now + 3_600_000_000, by=-3_600_000_000)
        due = scalar(stage.url, left)
        begun = time.perf_counter()
        notifier_of(services).notify([("advance", "")])
        # Counting them all again and again would cost what is measured.
        any_left = f"SELECT count(*) FROM ({left.replace('count(*)', 'id')} LIMIT 1) AS one"
        with suppress(TimeoutError):
            until(lambda: not scalar(stage.url, any_left), seconds=seconds, what="rings", every=0.05)
        took = time.perf_counter() - begun
        applied = due - scalar(stage.url, left)
        memory = max(process.peak_mb() for process in started)
    return applied / took, floor, memory


def _shift(url: str, now: Instant, *, by: int) -> None:
    """Move the alarms that are due at `now` (and no later ones)."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE contacts SET wake_at = wake_at + %s WHERE survivor IS NULL AND wake_at <= %s", (by, now)
        )


def _floor(url: str, now: Instant) -> float:
    """Read the due rows page by page in the order of the index; returns rows a second."""
    read, after = 0, (0, 0)
    with psycopg.connect(url, autocommit=True) as connection:
        begun = time.perf_counter()
        while True:
            rows = connection.execute(
                "SELECT wake_at, id, track, stage, zone, locale, email, facts::text, clock, version "
                f"FROM contacts WHERE survivor IS NULL AND wake_at < {FOREVER} AND wake_at <= %s "
                "AND wake_at >= %s AND (wake_at, id) > (%s, %s) ORDER BY wake_at, id LIMIT %s",
                (now, after[0], *after, _PAGE),
            ).fetchall()
            if not rows:
                break
            read += len(rows)
            after = (rows[-1][0], rows[-1][1])
        return read / (time.perf_counter() - begun)


def idle_poll(stage: Stage) -> tuple[float, float]:
    """Return the median milliseconds of the product's look for due alarms, and of its bare statement."""
    services = stage.migrated()
    try:
        now = services.clock.now()
        set_alarms(stage.url, ringing=0, now=now)
        ours = _median(lambda: _look(services))
        with psycopg.connect(stage.url, autocommit=True) as connection:
            bare = _median(lambda: connection.execute(_DUE + " LIMIT 1", (now,)).fetchone())  # type: ignore[arg-type]
    finally:
        services.close()
    return ours, bare


def _look(services: Services) -> None:
    ring(services.database, clock=services.clock, playbooks=services.playbooks)


def _median(look: object) -> float:
    times = []
    for _ in range(_LOOKS):
        begun = time.perf_counter()
        look()  # type: ignore[operator]
        times.append(1_000 * (time.perf_counter() - begun))
    return sorted(times)[_LOOKS // 2]
