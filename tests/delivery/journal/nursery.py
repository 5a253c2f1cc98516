"""Forks senders that can be killed: `python -m tests.delivery.journal.nursery URL CLOCK FOLDER SMTP`, a line a command.

`spawn [FAILPOINTS]` forks one and prints its process id; `spawn` with failpoints arms them in it. A sender has two
lanes in threads, a journal in FOLDER, connections to SMTP, and works until it is killed. CLOCK is a file that holds
the instant, everybody's. Everything is loaded before the first fork, so that a sender sends within milliseconds.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nurture.database.engine import Database, open_database
from nurture.delivery.deliver import deliver, recover, recover_by_journal
from nurture.delivery.journal.recovery import open_journal
from nurture.delivery.journal.restore_detection import JournalProgress
from nurture.delivery.types import Delivery
from nurture.domain.errors import Transient
from nurture.runtime import failpoints
from nurture.runtime.clock import pause
from nurture.transports.registry import open_transport
from tests.delivery.builders import a_measure, a_playbook
from tests.delivery.worker import SharedClock
from tests.delivery.world import World

#: Connections of a sender to each of its lanes, and mails that pass the send gate together: several times a chunk.
CONNECTIONS = 2
WINDOW_MAILS = 10
LANES = ("main", "bulk")
OFFER = a_measure("customer/any/offer")
BULK = a_measure("customer/any/bulk", lane="bulk")
RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)
PLAYBOOK = a_playbook(OFFER, BULK, RECEIPT)
#: A sender that was stopped for longer than this after its send gate writes no final dot any more.
FENCE = 5.0


def _send(url: str, clock: Path, folder: Path, smtp: str) -> None:
    """Work until killed."""
    database = open_database(url)
    shared = SharedClock(clock)
    # As in production, but for the fence: it is eleven minutes there.
    journal = open_journal(database, folder, clock=shared)
    journal._fence = FENCE
    world = World(database, PLAYBOOK, worker=journal.name, journal=journal)
    world.clock = shared  # type: ignore[assignment]
    for lane in LANES:
        threading.Thread(target=_work, args=(database, world.delivery, lane, smtp), daemon=True).start()
    progress = JournalProgress()
    while True:
        with suppress(Transient):
            recover_by_journal(database, world.delivery, progress)
            recover(database, clock=shared)
        pause(0.05)


def _work(database: Database, delivery: Delivery, lane: str, smtp: str) -> None:
    delivery = replace(delivery, window=WINDOW_MAILS)
    journal = delivery.journal
    assert journal
    transport = open_transport(f"{smtp}?connections={CONNECTIONS}", on_stage=journal.record_stage)
    while True:
        with suppress(Transient):
            deliver(database, delivery, lane=lane, transport=transport, limit=60)
        pause(0.01)


def main() -> None:
    """Fork senders on demand; ends, with all of them, when nobody asks any more."""
    url, clock, folder, smtp = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    spawned = []
    for command in sys.stdin:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            failpoints.arm(command.partition(" ")[2].strip())
            sys.stdin.close()
            _send(url, Path(clock), Path(folder), smtp)
        spawned.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in spawned:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
