"""bulk send: an ops send decided, guarded, rendered, handed to the sink, outcomes written; two workers."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.people import advocates
from bench.stage import MEASURE, ROOT, Figure, Stage, at_once, database, process, scalar, until, workers
from nurture.app.previews import compose_preview
from nurture.app.previews.source import published
from nurture.app.services import Services
from nurture.rendering.render import render
from nurture.transports.registry import open_transport
from nurture.transports.types import OutgoingMail
from tests.rig.postgres import Postgres
from tests.rig.process import free_port
from tests.rig.redis import Redis

TOPIC = "members"
#: How often the floor is measured: one push by itself came out between 6,700 and 10,700 mails/s on one machine.
PUSHES = 5


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


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return the figure for 200,000 people at scale 1."""
    people = int(200_000 * scale)
    with database(postgres) as url, TemporaryDirectory(prefix="nurture-bench-") as folder:
        sent = by_workers(url, Path(folder), people, 2)
    what = f"`nurture send` to {people} people until the last outcome is written, 2 workers"
    if sent.mails < people:
        what += f"; stopped after {sent.seconds:.0f} s with {sent.mails}"
    return [
        Figure(
            "bulk send",
            what,
            sent.rate,
            "mails/s",
            sent.floor,
            at_least=1_500,
            ratio_at_least=0.15,
            memory_mb=sent.memory_mb,
            note=f"floor: {sent.floor_mails} ready-made mails of the same size by the same client to the same sink, "
            f"the median of {PUSHES} pushes before and after",
        )
    ]


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of a bulk send."""

    mails: int
    seconds: float
    floor: float
    floor_mails: int
    memory_mb: float
    # Mails a second from the first that was decided to the last outcome: without the command's start and its
    # pass over everybody.
    flowing: float

    @property
    def rate(self) -> float:
        """Mails a second."""
        return self.mails / self.seconds


def by_workers(
    url: str,
    folder: Path,
    people: int,
    count: int,
    *,
    seconds: float = 240.0,
    delay: float = 0.0,
    options: str = "",
    prefix: str = "p",
    ready_made: int = 50_000,
    pushes: int = PUSHES,
) -> Sent:
    """Send one mail each to so many people by so many Celery workers, and measure until the last outcome.

    A mail without an outcome after so many seconds does not count. delay: before each of the server's replies. options:
    of the mail URL. prefix: of the people's addresses, so that a database can be used again. ready_made: mails that
    the floor pushes at most, in all. pushes: how often it does, half of them before and half after; the median counts.
    """
    with ExitStack() as stack:
        port, log = stack.enter_context(sink(folder, delay=delay))
        redis = Redis()
        stack.callback(redis.stop)
        playbook = at_once(folder / "programme")
        mail_url = f"smtp://127.0.0.1:{port}?tls=none{options}"
        stage = Stage(url, playbook=playbook, mail_url=mail_url, broker_url=redis.url)
        services = stage.migrated()
        stack.callback(services.close)
        advocates(services, people, TOPIC, prefix=prefix)
        floor_mails = max(200, min(people, ready_made) // pushes)
        floors = [push_ready_made(services, mail_url, floor_mails) for _ in range(pushes // 2 + 1)]
        started = stack.enter_context(workers(stage, redis, count))
        before = scalar(url, _SENT)
        begun = time.perf_counter()
        words = (
            "send",
            MEASURE,
            "--occasion",
            prefix,
            "--audience",
            f"company == '{prefix}'",
            "--yes",
            "--json",
        )
        with process(stage, "nurture.cli", *words) as send, suppress(TimeoutError):

            def left() -> int:
                if send.popen.poll():
                    message = f"`nurture send` ended with {send.popen.returncode}; BENCH_LOUD=1 shows why"
                    raise AssertionError(message)
                send.peak_mb()
                return people - (scalar(url, _SENT) - before)

            _until_none(left, people, seconds=seconds)
        took = time.perf_counter() - begun
        mails = scalar(url, _SENT) - before
        span = scalar(url, _SPAN.format(prefix=prefix))
        memory = max(worker.peak_mb() for worker in started)
        floors += [push_ready_made(services, mail_url, floor_mails) for _ in range(pushes - len(floors))]
        arrived = len(log.read_text().splitlines()) - floor_mails * pushes
    if arrived < mails:
        message = f"{mails} mails are said to be sent, the sink took {arrived}"
        raise AssertionError(message)
    return Sent(
        mails, took, statistics.median(floors), floor_mails, memory, flowing=mails * 1_000_000 / max(1, span)
    )


#: No mail leaves faster than this, so nobody need count again before.
_FASTEST = 5_000
_COUNT_SECONDS_MAX = 5.0


def _until_none(left: Callable[[], int], people: int, *, seconds: float) -> None:
    """Wait until none is left; counting what was sent costs too, so it is asked seldom while much is left.

    Raises TimeoutError.
    """
    end = time.perf_counter() + seconds
    remaining = people
    while time.perf_counter() < end:
        time.sleep(min(_COUNT_SECONDS_MAX, max(0.05, remaining / _FASTEST)))
        remaining = left()
        if remaining <= 0:
            return
    message = f"{people} mails: not within {seconds:.0f} s"
    raise TimeoutError(message)


_SENT = f"SELECT count(*) FROM messages WHERE measure = '{MEASURE}' AND status = 'sent'"
_SPAN = (
    "SELECT max(settled_at) - min(decided_at) FROM messages JOIN contacts ON contacts.id = contact_id "
    f"WHERE measure = '{MEASURE}' AND email LIKE '{{prefix}}%@bench.example'"
)


def push_ready_made(services: Services, mail_url: str, count: int) -> float:
    """Return mails a second: one mail, ready made, pushed so often by the product's client."""
    mail = compose_preview(published(services), MEASURE)
    data = render(mail.loaded.templates, mail.frozen)
    one = OutgoingMail(0, 1, "shop@bench.example", "floor@bench.example", data)
    transport = open_transport(mail_url)
    begun = time.perf_counter()
    sent = sum(o.outcome == "sent" for o in transport.send(replace(one, message_id=n) for n in range(count)))
    seconds = time.perf_counter() - begun
    transport.close()
    if sent < count:
        message = f"of {count} ready-made mails {sent} were sent"
        raise AssertionError(message)
    return sent / seconds
