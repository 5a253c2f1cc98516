"""Announcing published numbers to people: one event each, a bounded number at a time.

Input: rows of `contact_values` that a publication marked. Output: events of the inbox, under an id made of the value,
its version and the contact; they take the way of every event: inbox, identity, advance.
"""

from typing import Any

import sqlalchemy as sa

from nurture.contacts import value_queries as store
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import load_newest_identities
from nurture.database.engine import Database
from nurture.domain.counts import Counts
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED, Identity
from nurture.domain.instant import Instant
from nurture.domain.published_values import published_event_body, value_message_id
from nurture.runtime.clock import Clock


def announce_values(database: Database, *, clock: Clock, limit: int = 200) -> Counts:
    """Hand in the next numbers that are to be announced; count `announced`.

    One transaction; `counts.more` while numbers are left.
    """
    with database.look() as connection:
        if not store.has_waiting(connection):
            return Counts()
    now = clock.now()

    def work(connection: sa.Connection) -> Counts:
        rows = store.lock_waiting(connection, limit=limit)
        names = load_newest_identities(connection, sorted({row.person for row in rows})) if rows else {}
        news = [_event(row, names[row.person], now=now) for row in rows if row.person in names]
        accept(connection, news, bulk=True)
        store.mark_told(connection, rows)
        counts = Counts(announced=len(news))
        counts.more = len(rows) == limit
        return counts

    return database.run(work)


def _event(row: Any, names: tuple[Identity, ...], *, now: Instant) -> NewEvent:
    return NewEvent(
        source=BY_MODEL,
        message_id=value_message_id(row.name, row.announced_version, row.contact_id),
        kind="track",
        name=VALUE_PUBLISHED,
        occurred_at=row.published_at,
        received_at=max(now, row.published_at),
        identities=names,
        properties=published_event_body(row.name, row.announced, row.announced_version),
    )
