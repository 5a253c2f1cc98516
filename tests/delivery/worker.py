"""A delivering process to stop, continue and kill: `python -m tests.delivery.worker URL CLOCK OUT HALT`.

CLOCK is a file that holds the instant (everybody's, so that leases lapse when the test says so), OUT the file
that letters are written to as they leave. HALT says where the process stops itself: `ready` (past the chunk
gate), `on_wire` (past the send gate, before the first letter), `sent` (killed after a letter left, before its
outcome is written), `never`.
"""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.database.engine import Database, open_database
from nurture.delivery.deliver import deliver
from nurture.domain.instant import Instant
from nurture.transports.types import Outcome, OutgoingMail
from tests.delivery.builders import a_measure, a_playbook
from tests.delivery.world import World, outcome


class SharedClock:
    """The instant in a file, for business and for leases."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> Instant:
        return int(self.path.read_text())

    def lease_now(self, connection: sa.Connection) -> Instant:  # noqa: ARG002 - a clock's shape
        return self.now()


class Ledger:
    """A transport that appends what it takes to a file."""

    def __init__(self, path: Path, *, dies: bool) -> None:
        self.path = path
        self.dies = dies

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        for mail in mails:
            with self.path.open("a") as file:
                file.write(f"{mail.message_id} {mail.attempt} {mail.data.hex()}\n")
            if self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            yield outcome(mail)

    def close(self) -> None:
        """Nothing is held."""


def stop_after(database: Database, status: str) -> None:
    """Stop this process when the transaction that first writes this status has been committed."""
    seen: list[str] = []

    def executed(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        written = statement.partition(" WHERE ")[0]
        if written.startswith("UPDATE messages") and status in f"{written} {parameters}":
            seen.append(statement)

    def returned(*_: Any) -> None:
        if seen:
            seen.clear()
            sa.event.remove(database.writer, "before_cursor_execute", executed)
            os.kill(os.getpid(), signal.SIGSTOP)

    sa.event.listen(database.writer, "before_cursor_execute", executed)
    sa.event.listen(database.writer, "checkin", returned)


def main() -> None:
    """Deliver what is due, once."""
    url, clock, out, halt = sys.argv[1:]
    database = open_database(url)
    playbook = a_playbook(a_measure(), a_measure("any/any/receipt", purpose="transactional", topic=None))
    world = World(database, playbook, worker=f"worker {os.getpid()}")
    world.clock = SharedClock(Path(clock))  # type: ignore[assignment]
    if halt in ("ready", "on_wire"):
        stop_after(database, halt)
    deliver(database, world.delivery, lane="main", transport=Ledger(Path(out), dies=halt == "sent"))
    database.close()


if __name__ == "__main__":
    main()
