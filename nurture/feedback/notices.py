"""Send the mails to our own staff: forwarded replies, and notices about overdue cases."""

import base64
import zlib
from typing import Any, Final

from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.instant import FOREVER, MINUTE, Duration
from nurture.feedback import reply_queries
from nurture.runtime.clock import Clock
from nurture.transports.registry import Transport
from nurture.transports.types import OutgoingMail

#: Attempts at one notice before it waits for an operator (`nurture doctor` names it).
ATTEMPTS_MAX: Final = 30
#: Wait between two attempts: doubles from a minute to half an hour.
_WAIT: Final[Duration] = MINUTE
_WAIT_MAX: Final[Duration] = 30 * MINUTE
_NOTICES: Final = 20


def send_notices(database: Database, transport: Transport, *, clock: Clock) -> Counts:
    """Send due notices, each at least once with the same bytes; counts `sent`, `retry` and `more`."""
    claimed = database.run(
        lambda connection: reply_queries.claim_notices(
            connection, now=clock.now(), lease=clock.lease_now(connection), limit=_NOTICES
        )
    )
    counts = Counts()
    mails = [
        OutgoingMail(
            row.id, row.attempts, row.sender, row.recipient, zlib.decompress(base64.b64decode(row.data))
        )
        for row in claimed
    ]
    attempts = {row.id: row.attempts for row in claimed}
    for outcome in transport.send(mails) if mails else ():
        now = clock.now()
        values: dict[str, Any] = {"reply": f"{outcome.code} {outcome.reply}".strip()[:500]}
        if outcome.outcome == "sent":
            values |= {"sent_at": now, "data": ""}
        else:
            # A permanent refusal is retried too: our own staff's mailbox will be repaired.
            tries = attempts[outcome.message_id]
            wait = min(_WAIT * 2 ** min(tries, 10), _WAIT_MAX)
            values["due_at"] = now + wait if tries < ATTEMPTS_MAX else FOREVER
        database.run(
            lambda connection, number=outcome.message_id, values=values: reply_queries.settle_notice(  # type: ignore[misc]
                connection, number, **values
            )
        )
        counts["sent" if outcome.outcome == "sent" else "retry"] += 1
    counts.more = len(claimed) == _NOTICES
    return counts
