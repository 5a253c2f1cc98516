"""Outgoing hooks: applied events are posted to other systems, after the commit and at least once.

`queue_posts` runs in the transaction that applies the events; `send_posts` makes each post from its event at the time
of sending, so that an erased person's is never sent. An address that does not answer holds up nobody else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.bulk import Row
from nurture.database.engine import HOOKS_KEY, Database, decode
from nurture.database.notifications import FEEDBACK, note
from nurture.domain.counts import Counts
from nurture.domain.event import Event, Identity
from nurture.domain.instant import Instant
from nurture.feedback import hook_queries
from nurture.runtime.clock import Clock
from nurture.transports.http import PostAnswer, Poster
from nurture.transports.standard_webhooks import name_target, number_post, pause_after, sign, write_document

#: Posts of one batch. Each takes fifteen seconds at most, and all of them less than the lease.
_POSTS: Final = 8
#: Receivers say so when an address exists no more.
_GONE: Final = 410
_REPLY_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The addresses by name of event, and the secrets that sign, the newest first."""

    addresses: Mapping[str, Sequence[str]]
    secrets: Sequence[str]

    def find_url(self, name: str, target: str) -> str | None:
        """Return the address of a post; None where the settings no longer have it."""
        return next((url for url in self.addresses.get(name, ()) if name_target(url) == target), None)


def queue_posts(
    connection: sa.Connection, events: Iterable[tuple[Event, int | None]], *, now: Instant
) -> int:
    """Store a post for each address of each of these events (with its contact); history that is imported has none.

    Without a hook for any of them no statement runs.
    """
    targets: Mapping[str, Sequence[str]] = connection.info.get(HOOKS_KEY) or {}
    if not targets:
        return 0
    rows: list[Row] = [
        {
            "event_id": event.seq,
            "contact_id": contact,
            "name": event.name,
            "target": target,
            "created_at": now,
            "due_at": now,
        }
        for event, contact in events
        if not event.historic
        for target in targets.get(event.name, ())
    ]
    hook_queries.add_posts(connection, rows)
    if rows:
        note(connection, FEEDBACK, "")
    return len(rows)


def send_posts(database: Database, poster: Poster, settings: HookSettings, *, clock: Clock) -> Counts:
    """Send due posts; counts `sent`, `retry`, `failed` and `more`."""
    with database.look() as connection:
        if not hook_queries.is_due(connection, now=clock.now()):
            return Counts()

    def claim(connection: sa.Connection) -> tuple[list[Any], dict[int, tuple[int, tuple[Identity, ...]]]]:
        lease = clock.lease_now(connection)
        rows = hook_queries.claim_posts(connection, now=clock.now(), lease=lease, limit=_POSTS)
        ids = sorted({row.contact_id for row in rows if row.contact_id is not None})
        return rows, hook_queries.load_people(connection, ids)

    rows, people = database.run(claim)
    counts, silent_until = Counts(), dict[str, Instant]()
    for row in rows:
        if row.target in silent_until:
            # It did not answer a moment ago; this attempt is not counted.
            _settle(database, row.id, attempts=row.attempts - 1, due_at=silent_until[row.target])
            continue
        answer = _post(poster, settings, row, people, now=clock.now())
        outcome, until = _record(database, row, answer, now=clock.now())
        counts[outcome] += 1
        if until is not None:
            silent_until[row.target] = until
    counts.more = len(rows) == _POSTS
    return counts


def _post(
    poster: Poster,
    settings: HookSettings,
    row: Any,
    people: Mapping[int, tuple[int, tuple[Identity, ...]]],
    *,
    now: Instant,
) -> PostAnswer:
    url = settings.find_url(row.name, row.target)
    if url is None:
        return PostAnswer(_GONE, "NURTURE_EVENT_HOOKS no longer has this address")
    if row.body is None or (row.contact_id is not None and row.contact_id not in people):
        return PostAnswer(_GONE, "the event was removed, or its person erased")
    person, names = people.get(row.contact_id, (None, ()))
    body = write_document(
        decode(row.body), name=row.name, occurred_at=row.occurred_at, person=person, names=names
    )
    number = number_post(row.source, row.message_id, row.target)
    return poster.post(url, body, sign(number, now, body, settings.secrets))


def _record(database: Database, row: Any, answer: PostAnswer, *, now: Instant) -> tuple[str, Instant | None]:
    """Store the outcome of one attempt; return its word, and until when the address is left alone."""
    reply = f"{answer.status or ''} {answer.text}".strip()[:_REPLY_MAX]
    if answer.is_taken:
        _settle(database, row.id, state=hook_queries.SENT, settled_at=now, reply=reply)
        return "sent", None
    pause = (
        None if answer.status == _GONE else pause_after(row.attempts, key=row.id, asked=answer.retry_after)
    )
    if pause is None:
        _settle(database, row.id, state=hook_queries.FAILED, settled_at=now, reply=reply)
        return "failed", None
    _settle(database, row.id, due_at=now + pause, reply=reply)
    database.run(lambda connection: hook_queries.put_off(connection, row.target, until=now + pause))
    return "retry", now + pause


def _settle(database: Database, number: int, **values: Any) -> None:
    database.run(lambda connection: hook_queries.settle_post(connection, number, **values))
