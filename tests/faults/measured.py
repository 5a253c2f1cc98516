"""A worker process that is measured: `python -m tests.faults.measured CLOCK SECONDS`; prints what it did as JSON.

It works once as a pool process does, each room for at most so many seconds, and tells its peak of memory in bytes, how
many statements it sent, how many rows the largest answer or change of one had, and how many mails it claimed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.app.installation import open_existing
from tests.delivery.worker import SharedClock
from workers import loops
from workers.context import make_context


def peak() -> int:
    """Return the most memory this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def main() -> None:
    """Work once."""
    services = open_existing(clock=SharedClock(Path(sys.argv[1])))
    vars(loops)["DRAIN_SECONDS"] = float(sys.argv[2])
    rows: list[int] = []

    def note(_connection: Any, cursor: Any, *_rest: Any) -> None:
        rows.append(cursor.rowcount)

    context = make_context(services)
    for engine in (services.database.writer, services.database.reader, services.database.looker):
        if not sa.event.contains(engine, "after_cursor_execute", note):
            sa.event.listen(engine, "after_cursor_execute", note)
    woken = loops.wake(context)
    sent = loops.send(context, "main")
    figures = {
        "peak": peak(),
        "statements": len(rows),
        "most": max(rows),
        "rung": woken["rung"],
        "claimed": sent["claimed"],
        "sent": sent["sent"],
    }
    context.close()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
