"""Read and write `hook_posts`: events to be posted to the addresses of EVENT_HOOKS, and what became of each post."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.identity_queries import load_newest_identities
from nurture.database.bulk import Row, any_of, insert
from nurture.database.schema import contacts, events, hook_posts
from nurture.domain.event import Identity
from nurture.domain.instant import MINUTE, Duration, Instant

#: How long a worker may take over the posts of one batch.
LEASE: Final[Duration] = 3 * MINUTE
WAITING: Final = "waiting"
SENT: Final = "sent"
FAILED: Final = "failed"


def add_posts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert posts in one statement; one that is there already stays."""
    insert(connection, hook_posts, rows, conflict=["event_id", "target"])


def is_due(connection: sa.Connection, *, now: Instant) -> bool:
    """Tell whether a post waits for being sent."""
    statement = sa.select(hook_posts.c.id).where(hook_posts.c.state == WAITING, hook_posts.c.due_at <= now)
    return connection.execute(statement.limit(1)).first() is not None


def claim_posts(connection: sa.Connection, *, now: Instant, lease: Instant, limit: int) -> list[Any]:
    """Lease due posts to the caller and return them with their events; `attempts` includes the present one.

    A post whose event was removed comes without body.
    """
    due = (
        sa.select(hook_posts.c.id)
        .where(hook_posts.c.state == WAITING, hook_posts.c.due_at <= now, hook_posts.c.lease_until < lease)
        .order_by(hook_posts.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    mine = any_of(hook_posts.c.id, ids, connection)
    connection.execute(
        sa.update(hook_posts)
        .where(mine)
        .values(lease_until=lease + LEASE, attempts=hook_posts.c.attempts + 1)
    )
    body = (events.c.source, events.c.message_id, events.c.occurred_at, events.c.body)
    statement = (
        sa.select(hook_posts, *body)
        .outerjoin(events, events.c.id == hook_posts.c.event_id)
        .where(mine)
        .order_by(hook_posts.c.id)
    )
    return list(connection.execute(statement))


def load_people(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[int, tuple[Identity, ...]]]:
    """Return contact -> the living contact and its newest identities, for contacts that are not erased."""
    if not ids:
        return {}
    rows = connection.execute(
        sa.select(contacts.c.id, contacts.c.survivor).where(
            any_of(contacts.c.id, ids, connection), contacts.c.erased_at.is_(None)
        )
    )
    living = {row.id: row.survivor or row.id for row in rows}
    names = load_newest_identities(connection, sorted(set(living.values())))
    return {contact: (person, names.get(person, ())) for contact, person in living.items()}


def settle_post(connection: sa.Connection, number: int, **values: Any) -> None:
    """Write the outcome of an attempt at a post, and end its lease."""
    mine = sa.and_(hook_posts.c.id == number, hook_posts.c.state == WAITING)
    connection.execute(sa.update(hook_posts).where(mine).values(lease_until=0, **values))


def put_off(connection: sa.Connection, target: str, *, until: Instant) -> None:
    """Let the waiting posts of an address that does not answer wait, so that others are not held up."""
    mine = sa.and_(hook_posts.c.target == target, hook_posts.c.state == WAITING, hook_posts.c.due_at < until)
    connection.execute(sa.update(hook_posts).where(mine, hook_posts.c.lease_until == 0).values(due_at=until))


def list_posts(connection: sa.Connection, *, state: str | None, limit: int) -> list[Any]:
    """Return posts, the newest first, of one state or of all."""
    statement = sa.select(hook_posts).order_by(hook_posts.c.id.desc()).limit(limit)
    return list(
        connection.execute(statement if state is None else statement.where(hook_posts.c.state == state))
    )


def count_posts(connection: sa.Connection) -> list[Any]:
    """Return target, state, number, newest outcome and oldest due instant of the posts of each address."""
    c = hook_posts.c
    statement = sa.select(
        c.target,
        c.state,
        sa.func.count().label("posts"),
        sa.func.max(c.settled_at).label("last"),
        sa.func.min(c.created_at).label("oldest"),
    )
    return list(connection.execute(statement.group_by(c.target, c.state).order_by(c.target, c.state)))


def load_post(connection: sa.Connection, number: int) -> Any:
    """Return one post; None without it."""
    return connection.execute(sa.select(hook_posts).where(hook_posts.c.id == number)).one_or_none()


def retry_posts(connection: sa.Connection, numbers: Sequence[int] | None, *, now: Instant) -> int:
    """Let failed and waiting posts be sent now, of these numbers or (None) all failed ones; return how many."""
    mine = hook_posts.c.state == FAILED
    if numbers is not None:
        mine = sa.and_(any_of(hook_posts.c.id, numbers, connection), hook_posts.c.state != SENT)
    values = {"state": WAITING, "due_at": now, "attempts": 0, "settled_at": None}
    return connection.execute(sa.update(hook_posts).where(mine).values(**values)).rowcount


def delete_settled(connection: sa.Connection, *, before: Instant, limit: int) -> int:
    """Delete the oldest posts that were settled before an instant."""
    old = (
        sa.select(hook_posts.c.id)
        .where(hook_posts.c.settled_at < before)
        .order_by(hook_posts.c.id)
        .limit(limit)
    )
    return connection.execute(sa.delete(hook_posts).where(hook_posts.c.id.in_(old))).rowcount
