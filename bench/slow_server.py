"""slow server: 20 ms to every reply; what one process pushes, and what one worker sends the whole way."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import bulk_send
from bench.stage import Figure, database
from tests.rig.postgres import Postgres

_DELAY = 0.02
_CONNECTIONS = 128


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return mails a second: 20,000 ready-made ones, and an ops send to 20,000 people at scale 1."""
    mails = max(200, int(20_000 * scale))
    options = f"&connections={_CONNECTIONS}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        url = stack.enter_context(database(postgres))
        sent = bulk_send.by_workers(
            url, folder, mails, 1, seconds=120, delay=_DELAY, options=options, ready_made=mails, pushes=1
        )
    how = f"20 ms to every SMTP reply, {_CONNECTIONS} connections"
    return [
        Figure(
            "slow server",
            f"{mails} ready-made mails from one process, {how}",
            sent.floor,
            "mails/s",
            at_least=1_500,
        ),
        Figure(
            "slow server",
            f"`nurture send` to {sent.mails} people, the whole way, 1 worker, {how}",
            sent.rate,
            "mails/s",
            sent.floor,
            memory_mb=sent.memory_mb,
            note="floor: the row above",
        ),
    ]
