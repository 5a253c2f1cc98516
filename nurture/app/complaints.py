"""Compare the share of mails reported as spam with the limits of mailbox providers.

Gmail's and Yahoo's rules for senders (2024): stay under 0.1 %, and never reach 0.3 %.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import DAY, Instant

WARN, REFUSED = 0.001, 0.003
#: Days counted, and the fewest mails for a rate: below that a single complaint would exceed it.
_DAYS = 7
_MAILS_MIN = 1_000


def find_excess(connection: sa.Connection, names: MeasureNames, *, now: Instant) -> Iterator[str]:
    """Yield one line when too many of the past week's mails were reported as spam. Reads the whole ledger.

    Transactional mails are not counted, and several complaints about one mail count once.
    """
    since = now - _DAYS * DAY
    wanted = (t.messages.c.purpose != "transactional", t.messages.c.sent_at > since)
    sent = connection.scalar(sa.select(sa.func.count()).where(*wanted)) or 0
    complained = sa.exists().where(
        t.feedback.c.message_id == t.messages.c.id, t.feedback.c.kind == "complaint"
    )
    number = sa.func.count()
    rows = connection.execute(
        sa.select(t.messages.c.measure, number)
        .where(*wanted, complained)
        .group_by(t.messages.c.measure)
        .order_by(number.desc(), t.messages.c.measure)
    ).all()
    complaints = sum(count for _, count in rows)
    if sent < _MAILS_MIN or complaints < WARN * sent:
        return
    measure, most = names.shown(rows[0][0]), rows[0][1]
    allowed = (
        "providers refuse such senders"
        if complaints >= REFUSED * sent
        else "providers ask for less than 0.1 %"
    )
    yield (
        f"{complaints} of the {sent} mails of the past {_DAYS} days were reported as spam, {complaints / sent:.2%}: "
        f"{allowed}. Most of them, {most}, are mails of {measure}: check its audience, or `nurture pause {measure}`"
    )
